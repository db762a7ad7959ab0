// Package temporal runs a Temporal server and its Web UI in this process, with
// SQLite in a file as its store.
package temporal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Namespace is the one that is there from the start.
const Namespace = "default"

// searchAttributes are those that the cluster-sync workflows set.
var searchAttributes = map[string]enumspb.IndexedValueType{
	"ClusterName":  enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	"SyncStrategy": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	"SyncState":    enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	"SyncRevision": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
}

const loopback = "127.0.0.1"

// Config says where a server keeps its data and listens. Everything listens on
// the loopback interface.
type Config struct {
	// Database is the SQLite file, made when it is missing.
	Database string
	// Log is the file that gets warnings and errors.
	Log string
	// Port of the gRPC frontend, UIPort of the Web UI.
	Port, UIPort int
	// Internal are three free ports for the services behind the frontend.
	Internal [3]int
}

// Server is a running Temporal server.
type Server struct {
	server     temporal.Server
	ui         *webUI
	addr       string
	connection *grpc.ClientConn
	frontend   workflowservice.WorkflowServiceClient
	failed     chan error
}

// Start returns when the namespace answers.
func Start(ctx context.Context, c Config) (*Server, error) {
	if err := createDatabase(c.Database); err != nil {
		return nil, fmt.Errorf("create Temporal's database %s: %w", c.Database, err)
	}
	store := sqliteStore(c.Database)
	namespace, err := sqlite.NewNamespaceConfig(clusterName, Namespace, false, searchAttributes)
	if err != nil {
		return nil, fmt.Errorf("describe namespace %s: %w", Namespace, err)
	}
	if err := sqlite.CreateNamespaces(store, namespace); err != nil {
		return nil, fmt.Errorf("create namespace %s in %s: %w", Namespace, c.Database, err)
	}

	failed := make(chan error, 1)
	server, err := c.start(store, failed)
	if err != nil {
		return nil, fmt.Errorf("start the Temporal server: %w", err)
	}
	s := &Server{server: server, addr: address(c.Port), failed: failed}
	s.connection, err = grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	s.frontend = workflowservice.NewWorkflowServiceClient(s.connection)
	if err := s.waitReady(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("the Temporal server does not answer, see %s: %w", c.Log, err)
	}
	s.ui, err = startWebUI(ctx, s.addr, c.UIPort)
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// start returns when the server started or gave up, in which case the
// goroutine that it gave up in never ends.
func (c Config) start(store *config.SQL, failed chan error) (temporal.Server, error) {
	started := make(chan temporal.Server, 1)
	refused := make(chan error, 1)
	go func() {
		server, err := temporal.NewServer(
			temporal.WithConfig(c.server(store)),
			temporal.ForServices(temporal.DefaultServices),
			temporal.WithStaticHosts(c.hosts()),
			temporal.WithLogger(newLogger(c.Log, failed)),
			temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
			temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
				return authorization.NewNoopClaimMapper()
			}),
			temporal.WithCustomMetricsHandler(metrics.NoopMetricsHandler),
			temporal.WithDynamicConfigClient(dynamicSettings()),
		)
		if err == nil {
			err = server.Start()
		}
		if err != nil {
			refused <- err
			return
		}
		started <- server
	}()
	select {
	case server := <-started:
		return server, nil
	case err := <-refused:
		return nil, err
	case err := <-failed:
		return nil, err
	}
}

// Address is the frontend's host:port.
func (s *Server) Address() string { return s.addr }

// UI is the Web UI's address.
func (s *Server) UI() string { return s.ui.url }

// Failed gets an error when the server ends by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop ends the Web UI and the server, and returns after a few seconds even if
// the server takes longer: the caller is about to exit, and SQLite's file is
// consistent at any moment.
func (s *Server) Stop() {
	if s.ui != nil {
		s.ui.stop()
	}
	_ = s.connection.Close()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = s.server.Stop()
	}()
	select {
	case <-stopped:
	case <-time.After(5 * time.Second):
	}
}

// Polled returns nil when a worker asks for workflow tasks of the queue.
func (s *Server) Polled(ctx context.Context, taskQueue string) error {
	queue, err := s.frontend.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace:     Namespace,
		TaskQueue:     &taskqueuepb.TaskQueue{Name: taskQueue, Kind: enumspb.TASK_QUEUE_KIND_NORMAL},
		TaskQueueType: enumspb.TASK_QUEUE_TYPE_WORKFLOW,
	})
	if err != nil {
		return fmt.Errorf("describe task queue %s: %w", taskQueue, err)
	}
	if len(queue.GetPollers()) == 0 {
		return fmt.Errorf("nobody polls task queue %s", taskQueue)
	}
	return nil
}

func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		// A listing goes through the frontend to the visibility store with the
		// namespace's search attributes: all that a client needs first.
		_, err := s.frontend.CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: Namespace,
			Query:     "ClusterName = 'none'",
		})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

const clusterName = "active"

func (c Config) server(store *config.SQL) *config.Config {
	service := func(port int) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
	}
	return &config.Config{
		Global: config.Global{Membership: config.Membership{BroadcastAddress: loopback}},
		Persistence: config.Persistence{
			DefaultStore:     sqliteplugin.PluginName,
			VisibilityStore:  sqliteplugin.PluginName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{sqliteplugin.PluginName: {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: address(c.Port)},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			string(primitives.FrontendService): service(c.Port),
			string(primitives.HistoryService):  service(c.Internal[0]),
			string(primitives.MatchingService): service(c.Internal[1]),
			string(primitives.WorkerService):   service(c.Internal[2]),
		},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: address(c.Port)},
	}
}

func (c Config) hosts() map[primitives.ServiceName]static.Hosts {
	return map[primitives.ServiceName]static.Hosts{
		primitives.FrontendService: static.SingleLocalHost(address(c.Port)),
		primitives.HistoryService:  static.SingleLocalHost(address(c.Internal[0])),
		primitives.MatchingService: static.SingleLocalHost(address(c.Internal[1])),
		primitives.WorkerService:   static.SingleLocalHost(address(c.Internal[2])),
	}
}

func dynamicSettings() dynamicconfig.Client {
	value := func(v any) []dynamicconfig.ConstrainedValue {
		return []dynamicconfig.ConstrainedValue{{Value: v}}
	}
	return dynamicconfig.StaticClient{
		// Asks a host on the internet otherwise.
		dynamicconfig.EnableServerVersionCheck.Key(): value(false),
		// A search attribute that a test adds is there at once.
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): value(true),
	}
}

// createDatabase lays the schema into a new file. A second file says that it is
// whole: a start that was interrupted before begins again.
func createDatabase(path string) error {
	whole := path + ".whole"
	if _, err := os.Stat(whole); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.RemoveAll(path + suffix); err != nil {
			return err
		}
	}
	if err := sqlite.SetupSchema(sqliteStore(path)); err != nil {
		return err
	}
	return os.WriteFile(whole, nil, 0o600)
}

func sqliteStore(path string) *config.SQL {
	return &config.SQL{
		PluginName: sqliteplugin.PluginName,
		// It becomes part of a URI.
		DatabaseName: (&url.URL{Path: path}).EscapedPath(),
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "wal",
			"synchronous":  "normal",
		},
	}
}

func address(port int) string { return fmt.Sprintf("%s:%d", loopback, port) }
