// Command worker serves the workflow and the activities that keep Kubernetes clusters and Git in step.
// One worker may serve several clusters, and several workers the same cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"go.temporal.io/sdk/worker"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// version is set when the binary is built.
var version = "dev"

func main() {
	paceCollector()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().RunContext(ctx, os.Args)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(exitStatus(err))
	}
}

// usageError is a mistake on the command line.
type usageError struct{ error }

// exitStatus is 2 for wrong usage and 1 for everything else that went wrong.
func exitStatus(err error) int {
	var usage usageError
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

func command() *cli.App {
	return &cli.App{
		Name:            "worker",
		Usage:           "keep Kubernetes clusters and Git in step",
		Version:         version,
		UsageText:       "worker --cluster NAME[=CONTEXT] [--cluster …] [options]",
		Description:     "The Temporal server is taken from TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and the other settings of the Temporal CLI.\nExample: worker --cluster primary --kubeconfig ~/.kube/config",
		HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "cluster", Usage: "enrolled `NAME` to serve, as NAME=CONTEXT with a context of the kubeconfig; may be repeated"},
			&cli.StringFlag{Name: "kubeconfig", Usage: "`FILE` to connect to the clusters with (default: $KUBECONFIG, else the cluster that the worker runs in)", EnvVars: []string{"KUBECONFIG"}},
			&cli.StringFlag{Name: "data-dir", Usage: "`DIR` for caches; losing it costs one fetch", Value: defaultDataDir()},
			&cli.StringFlag{Name: "credentials-dir", Usage: "`DIR` to read username, password and ca.crt from, or DIR/NAME (default: Secret git-credentials of the cluster)"},
			&cli.StringFlag{Name: "metrics-addr", Usage: "`ADDR` to serve /metrics and /healthz on, e.g. :9090 (default: not served)"},
			&cli.StringFlag{Name: "codec-key-file", Usage: "`FILE` with keys to encrypt with what Temporal stores, a line ID:BASE64 for each, the one to use first (default: nothing is encrypted)", EnvVars: []string{"ACS_CODEC_KEY_FILE"}},
			&cli.DurationFlag{Name: "audit-interval", Usage: "`DURATION` in which what the watches told is compared once with lists of metadata, one resource at a time; 0 for never", Value: time.Hour},
			&cli.DurationFlag{Name: "stop-timeout", Usage: "`DURATION` that running work gets to end when the worker is told to stop; what hasn't ended then is left to the next worker", Value: 20 * time.Second},
			&cli.StringFlag{Name: "deployment-name", Usage: "`NAME` of the Temporal worker deployment that this worker is a version of (default: no worker versioning)", EnvVars: []string{"TEMPORAL_DEPLOYMENT_NAME"}},
			&cli.StringFlag{Name: "build-id", Usage: "`ID` of that version (default: the version of this program)", EnvVars: []string{"TEMPORAL_WORKER_BUILD_ID"}},
			&cli.StringFlag{Name: "log-format", Usage: "json or text", Value: "json"},
			&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error", Value: "info"},
		},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return usageError{err} },
		Action: func(c *cli.Context) error {
			settings, err := parse(c)
			if err != nil {
				return usageError{err}
			}
			return serve(c.Context, settings)
		},
		ExitErrHandler: func(*cli.Context, error) {},
	}
}

// settings are the command line, checked.
type settings struct {
	clusters       []cluster
	kubeconfig     string
	dataDir        string
	credentialsDir string
	metricsAddr    string
	codecKeyFile   string
	auditEvery     time.Duration // negative: never
	stopTimeout    time.Duration
	deployment     worker.DeploymentOptions
	logger         *slog.Logger
}

// cluster is one that the worker serves, and the context of the kubeconfig that leads to it.
type cluster struct{ name, context string }

func parse(c *cli.Context) (settings, error) {
	s := settings{
		kubeconfig: c.String("kubeconfig"), dataDir: c.String("data-dir"),
		credentialsDir: c.String("credentials-dir"), metricsAddr: c.String("metrics-addr"),
		codecKeyFile: c.String("codec-key-file"),
	}
	if s.auditEvery = c.Duration("audit-interval"); s.auditEvery <= 0 {
		s.auditEvery = -1
	}
	if s.stopTimeout = c.Duration("stop-timeout"); s.stopTimeout < 0 {
		return s, fmt.Errorf("--stop-timeout %s is less than nothing: use 0 to leave running work to the next worker at once", s.stopTimeout)
	}
	var err error
	if s.deployment, err = deployment(c.String("deployment-name"), c.String("build-id")); err != nil {
		return s, err
	}
	if c.Args().Present() {
		return s, fmt.Errorf("unexpected argument %q: clusters are given as --cluster NAME", c.Args().First())
	}
	names := map[string]bool{}
	for _, value := range c.StringSlice("cluster") {
		name, context, _ := strings.Cut(value, "=")
		if err := workflows.ValidateCluster(name); err != nil {
			return s, err
		}
		if names[name] {
			return s, fmt.Errorf("cluster %s is given twice", name)
		}
		names[name] = true
		s.clusters = append(s.clusters, cluster{name, context})
	}
	if len(s.clusters) == 0 {
		return s, errors.New("no cluster to serve: give --cluster NAME for each enrolled cluster")
	}
	var options slog.HandlerOptions
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return s, fmt.Errorf("unknown log level %q: use debug, info, warn or error", c.String("log-level"))
	}
	options.Level = level
	switch format := c.String("log-format"); format {
	case "json":
		s.logger = slog.New(slog.NewJSONHandler(os.Stderr, &options))
	case "text":
		s.logger = slog.New(slog.NewTextHandler(os.Stderr, &options))
	default:
		return s, fmt.Errorf("unknown log format %q: use json or text", format)
	}
	return s, nil
}

func defaultDataDir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "active-cluster-sync")
}
