package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// Ports below the range from which Linux and macOS take the local ports of
// outgoing connections: one chosen here can't be lost to a connection between
// its reservation and the server that binds it.
const (
	lowestPort  = 20000
	highestPort = 32000
)

// ErrPortTaken says that a port somebody asked for by number is in use.
var ErrPortTaken = errors.New("port is in use")

// Ports reserves loopback ports for servers that are started a moment later.
// A reservation is a file lock, so that two stacks that start at the same
// time don't choose the same port; it lasts as long as the process.
type Ports struct {
	dir string

	mu   sync.Mutex
	held []*Lock
}

// NewPorts shares its reservations with every other process of this user.
func NewPorts() (*Ports, error) {
	cache, err := os.UserCacheDir()
	if err == nil {
		cache = filepath.Join(cache, "active-cluster-sync", "ports")
		err = os.MkdirAll(cache, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("reserve ports: no cache directory of this user, set HOME: %w", err)
	}
	return &Ports{dir: cache}, nil
}

// Reserve returns the first of the preferred ports that is free, otherwise any
// free one. Zeros among them are skipped.
func (p *Ports) Reserve(preferred ...int) (int, error) {
	for _, port := range preferred {
		if port != 0 && p.take(port) == nil {
			return port, nil
		}
	}
	var err error
	for range 200 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		if err = p.take(port); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d: %w", lowestPort, highestPort, err)
}

// ReserveExactly returns an ErrPortTaken when that port is not free.
func (p *Ports) ReserveExactly(port int) error {
	if err := p.take(port); err != nil {
		return fmt.Errorf("%w: 127.0.0.1:%d (%w); free it or choose another", ErrPortTaken, port, err)
	}
	return nil
}

// Release ends all reservations.
func (p *Ports) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, lock := range p.held {
		lock.Release()
	}
	p.held = nil
}

func (p *Ports) take(port int) error {
	lock, err := TryLock(filepath.Join(p.dir, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	var binding net.ListenConfig
	listener, err := binding.Listen(context.Background(), "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		lock.Release()
		return err
	}
	if err := listener.Close(); err != nil {
		lock.Release()
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = append(p.held, lock)
	return nil
}
