package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// detach becomes another program that has nothing of its caller's: `detach PROGRAM ARGUMENT…`.
//
// It leads a session of its own, so that no terminal ends it, and it holds no file but the standard three. A pipe of
// the caller's, kept open by a server, would make whoever reads its other end wait for ever.
func detach(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("expected `PROGRAM ARGUMENT…`")
	}
	program, err := exec.LookPath(arguments[0])
	if err != nil {
		return err
	}
	if _, err := syscall.Setsid(); err != nil {
		return fmt.Errorf("setsid: %w", err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range open {
		if descriptor, err := strconv.Atoi(entry.Name()); err == nil && descriptor > 2 {
			syscall.CloseOnExec(descriptor)
		}
	}
	return syscall.Exec(program, arguments, os.Environ())
}
