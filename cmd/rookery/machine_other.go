//go:build !linux

package main

import "github.com/rookery-chat/rookery/protocol"

func readMachine(*protocol.Machine) {}
