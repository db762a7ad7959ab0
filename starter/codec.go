package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/internal/codec"
)

// codecFlag is the one of every command.
const codecFlag = "codec-key-file"

// codecKey is where a command's context has the path of the key file.
type codecKey struct{}

// withCodecKey gives a command the flag.
func withCodecKey(command *cli.Command) {
	command.Flags = append(command.Flags, &cli.StringFlag{
		Name: codecFlag, EnvVars: []string{"ACS_CODEC_KEY_FILE"},
		Usage: "`FILE` with the keys that the workers encrypt with what Temporal stores",
	})
	command.Before = func(c *cli.Context) error {
		c.Context = context.WithValue(c.Context, codecKey{}, c.String(codecFlag))
		return nil
	}
}

func codecServerCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "codec-server",
		Usage:     "decrypt for the Temporal Web UI what the workers encrypt",
		UsageText: "starter codec-server --codec-key-file FILE [--listen ADDR] [--ui-origin URL]…",
		Description: `Whoever can reach it can read what the key decrypts, so it listens on this machine alone unless told otherwise,
and browsers may use it from the pages of the Web UI alone. It encrypts nothing and keeps nothing. Enter its
address in the Web UI as "Codec Server" (the glasses in the top right corner).

Examples:
  starter codec-server --codec-key-file codec.keys
  starter codec-server --codec-key-file codec.keys --ui-origin https://temporal.example.com`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "`ADDR` to listen on", Value: "127.0.0.1:8089"},
			&cli.StringSliceFlag{Name: "ui-origin", Usage: "`URL` of the Web UI, without a path; may be repeated", Value: cli.NewStringSlice("http://localhost:8233", "http://127.0.0.1:8233")},
		},
		BashComplete: completing(func(*cli.Context) {}),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return misuse("codec-server takes no argument: see starter codec-server --help")
			}
			if c.String(codecFlag) == "" {
				return misuse("codec-server needs the keys to decrypt with: give --codec-key-file FILE")
			}
			keys, err := codec.ReadKeys(c.String(codecFlag))
			if err != nil {
				return err
			}
			listener, err := new(net.ListenConfig).Listen(c.Context, "tcp", c.String("listen"))
			if err != nil {
				return fmt.Errorf("the codec server can't listen: %w; choose another address with --listen", err)
			}
			t.note("codec server for the Web UI: http://%s", listener.Addr())
			origins := c.StringSlice("ui-origin")
			for i := range origins {
				origins[i] = strings.TrimRight(origins[i], "/")
			}
			return serveCodec(c.Context, listener, codec.Handler(keys, origins...))
		},
	}
}

// serveCodec answers until the context ends.
func serveCodec(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
