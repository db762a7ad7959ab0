package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wire passes connections on to a server and counts the bytes of both
// directions. It knows nothing of what it carries, so TLS stays between client
// and server.
type wire struct {
	listener net.Listener
	target   string // host:port
	// away is the time that each direction takes.
	away   time.Duration
	bytes  atomic.Int64
	ended  sync.WaitGroup
	cancel context.CancelFunc
}

func newWire(ctx context.Context, target string, away time.Duration) (*wire, error) {
	var binding net.ListenConfig
	listener, err := binding.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &wire{listener: listener, target: target, away: away, cancel: cancel}
	w.ended.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			w.ended.Go(func() { w.carry(ctx, client) })
		}
	})
	return w, nil
}

func (w *wire) address() string { return w.listener.Addr().String() }

// close cuts all connections.
func (w *wire) close() {
	_ = w.listener.Close()
	w.cancel()
	w.ended.Wait()
}

func (w *wire) carry(ctx context.Context, client net.Conn) {
	defer cut(client)
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp4", w.target)
	if err != nil {
		return
	}
	defer cut(server)
	stop := context.AfterFunc(ctx, func() { cut(client); cut(server) })
	defer stop()
	var back sync.WaitGroup
	back.Go(func() { w.copy(client, server) })
	w.copy(server, client)
	back.Wait()
}

// copy ends when from has no more; its end is passed on, the other direction
// may still have something to say.
func (w *wire) copy(to, from net.Conn) {
	if err := w.pass(counting{to, &w.bytes}, from); err != nil {
		cut(from)
		cut(to)
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // the other end may be gone already
	}
}

// pass hands on what it reads when the time has passed that the way takes; the
// way holds as much as is sent.
func (w *wire) pass(to io.Writer, from net.Conn) error {
	if w.away == 0 {
		_, err := io.Copy(to, from)
		return err
	}
	way := make(chan packet, 1<<12)
	var lost error
	var arrival sync.WaitGroup
	arrival.Go(func() {
		for p := range way {
			time.Sleep(time.Until(p.due))
			if lost != nil {
				continue
			}
			if _, lost = to.Write(p.bytes); lost != nil {
				cut(from) // which ends the sending
			}
		}
	})
	err := w.send(way, from)
	close(way)
	arrival.Wait()
	return errors.Join(lost, err)
}

// packet is on its way until it is due.
type packet struct {
	due   time.Time
	bytes []byte
}

// send ends when from has no more.
func (w *wire) send(way chan<- packet, from io.Reader) error {
	for {
		buffer := make([]byte, 16<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			way <- packet{time.Now().Add(w.away), buffer[:n]}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// cut closes a connection that may be closed already.
func cut(connection net.Conn) { _ = connection.Close() }

type counting struct {
	io.Writer
	bytes *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}
