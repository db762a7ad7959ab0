// The definitions of custom resources that the test reads from these modules. Nothing is built from them,
// so the product's go.mod doesn't have to know them. As there is no Go file, `go mod tidy` would empty it:
// change a version here and run `go mod download`.
module github.com/active-cluster-sync/active-cluster-sync/internal/roundtrip/crds

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.6.3
)
