'use strict';
const methods = ['get', 'post', 'put', 'patch', 'delete'];
let spec;

// make builds an element. Text is always text, never markup.
function make(tag, props, ...children) {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

function follow(o) {
  while (o && o.$ref) o = o.$ref.slice(2).split('/').reduce((at, key) => at[key.replace(/~1/g, '/').replace(/~0/g, '~')], spec);
  return o;
}

// shape writes a schema as people write JSON; a type inside itself is named only.
function shape(schema, indent = '', seen = []) {
  if (!schema) return 'any';
  if (schema.$ref) {
    const name = schema.$ref.split('/').pop();
    return seen.includes(name) ? name : shape(follow(schema), indent, [...seen, name]);
  }
  if (schema.anyOf) return schema.anyOf.map((s) => shape(s, indent, seen)).join(' | ');
  const types = [].concat(schema.type || []);
  if (types.includes('array')) return `[${shape(schema.items, indent, seen)}]${bounds(schema)}`;
  if (schema.properties) {
    const deeper = indent + '  ';
    const required = schema.required || [];
    const lines = Object.entries(schema.properties).map(([name, s]) =>
      `${deeper}${name}${required.includes(name) ? '' : '?'}: ${shape(s, deeper, seen)}`);
    return `{\n${lines.join('\n')}\n${indent}}`;
  }
  return words(schema, types) + bounds(schema);
}

function words(schema, types) {
  if (schema.enum) return schema.enum.map((v) => JSON.stringify(v)).join(' | ');
  return types.map((t) => (t === 'string' && schema.format) || t).join(' | ') || 'any';
}

function bounds(s) {
  const said = [];
  for (const [key, text] of [['minLength', 'at least # characters'], ['maxLength', 'at most # characters'], ['minimum', 'from #'],
    ['maximum', 'to #'], ['minItems', 'at least # items'], ['maxItems', 'at most # items'], ['pattern', '#'], ['default', 'default #']]) {
    if (s[key] !== undefined) said.push(text.replace('#', () => s[key]));
  }
  return said.length ? `  (${said.join(', ')})` : '';
}

function body(content) {
  return Object.values(content || {}).map((media) => make('pre', { textContent: shape(media.schema) }));
}

function details(op) {
  const parts = [make('p', { className: 'dim', textContent: (op.description || '').replace(/`/g, '') })];
  if ((op.security || []).every((s) => Object.keys(s).length === 0)) parts.push(make('p', { textContent: 'Public: no token needed.' }));
  if (op.parameters) {
    parts.push(make('h3', { textContent: 'Parameters' }), make('table', {}, ...op.parameters.map((p) => make('tr', {},
      make('td', {}, make('code', { textContent: p.name })), make('td', { className: 'dim', textContent: p.in + (p.required ? ', required' : '') }),
      make('td', { textContent: shape(p.schema) })))));
  }
  if (op.requestBody) parts.push(make('h3', { textContent: 'Body' + (op.requestBody.required ? '' : ' (optional)') }), ...body(op.requestBody.content));
  for (const [status, response] of Object.entries(op.responses)) {
    const r = follow(response);
    if (status < '300') parts.push(make('h3', { textContent: `${status} ${r.description}` }), ...body(r.content));
  }
  const failures = Object.entries(op.responses).filter(([status]) => status >= '400');
  parts.push(make('h3', { textContent: 'Errors' }),
    make('p', { textContent: failures.map(([status, r]) => `${status} ${follow(r).description}`).join(', ') || 'none of its own' }));
  return make('div', {}, ...parts);
}

function card(path, method, op) {
  const e = make('details', { className: 'op' }, make('summary', {},
    make('span', { className: 'method ' + method, textContent: method.toUpperCase() }),
    make('span', { className: 'path', textContent: path }), make('span', { className: 'dim', textContent: op.summary || '' })));
  e.dataset.text = [path, method, op.operationId, op.summary, op.description].join(' ').toLowerCase();
  e.addEventListener('toggle', () => { if (e.open && e.children.length === 1) e.append(details(op)); });
  return e;
}

function show() {
  document.getElementById('version').textContent = spec.info.version;
  document.getElementById('about').textContent = (spec.info.description || '').replace(/`/g, '');
  const groups = new Map(spec.tags.map((t) => [t.name, []]));
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of methods) if (item[method]) groups.get(item[method].tags[0]).push(card(path, method, item[method]));
  }
  document.getElementById('operations').replaceChildren(...[...groups].map(([name, cards]) =>
    make('section', {}, make('h2', { textContent: name }), ...cards)));
}

document.getElementById('filter').addEventListener('input', (event) => {
  const wanted = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll('section')) {
    let visible = 0;
    for (const e of section.querySelectorAll('details.op')) {
      e.hidden = !wanted.every((w) => e.dataset.text.includes(w));
      if (!e.hidden) visible++;
    }
    section.hidden = visible === 0;
  }
});

fetch('/api/openapi.json').then((r) => r.json()).then((s) => { spec = s; show(); }).catch((e) => {
  document.getElementById('operations').textContent = 'The document could not be loaded: ' + e.message;
});
