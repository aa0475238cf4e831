//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// figure is a line of the table at the end.
type figure struct {
	what    string
	value   float64
	base    float64 // what it is compared with, 0: nothing
	of      string  // its name
	ratio   float64
	limit   float64 // compared with the target when there is no ratio
	atLeast float64 // target, 0: none
	atMost  float64 // target, 0: none
	others  float64 // processors that others used meanwhile
	note    string
}

// mark says whether the target is reached.
func (f figure) mark() string {
	v := f.ratio
	if v == 0 {
		v = f.limit
	}
	switch {
	case f.atLeast == 0 && f.atMost == 0:
		return "-"
	case f.atLeast > 0 && v < f.atLeast, f.atMost > 0 && v > f.atMost:
		return "short"
	default:
		return "PASS"
	}
}

func (f figure) target() string {
	switch {
	case f.atLeast > 0:
		return fmt.Sprintf(">= %g", f.atLeast)
	case f.atMost > 0:
		return fmt.Sprintf("<= %g", f.atMost)
	default:
		return ""
	}
}

// table collects figures in the order in which they were measured.
type table []figure

func (t *table) add(f figure) {
	*t = append(*t, f)
	progress("%s: %s", f.what, f.numbers())
}

func (f figure) numbers() string {
	if f.base == 0 {
		return amount(f.value)
	}
	return fmt.Sprintf("%s, %s %s, ratio %.2f", amount(f.value), f.of, amount(f.base), f.ratio)
}

// amount is a number with three digits that count.
func amount(v float64) string {
	switch {
	case v >= 100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// print writes the table. Others is how many processors were busy with
// something else: above a tenth or two, measure again.
func (t *table) print(w io.Writer) {
	if len(*t) == 0 {
		return
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Fprintf(w, "\nload average %.14s; others: processors busy with something else meanwhile\n\n", load)
	fmt.Fprintf(w, "%-88s %9s %9s %7s %8s %6s %6s\n", "", "value", "base", "ratio", "target", "", "others")
	for _, f := range *t {
		base, ratio := "", ""
		if f.base != 0 {
			base, ratio = amount(f.base), fmt.Sprintf("%.2f", f.ratio)
		}
		fmt.Fprintf(w, "%-88s %9s %9s %7s %8s %6s %6.2f\n", f.what, amount(f.value), base, ratio, f.target(), f.mark(), f.others)
		note := f.note
		if f.of != "" {
			note = strings.TrimSuffix("base: "+f.of+"; "+note, "; ")
		}
		if note != "" {
			fmt.Fprintf(w, "    %s\n", note)
		}
	}
}
