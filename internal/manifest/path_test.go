package manifest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	deployments  = Resource{Group: "apps", Version: "v1", Name: "deployments", Kind: "Deployment", Namespaced: true}
	services     = Resource{Version: "v1", Name: "services", Kind: "Service", Namespaced: true}
	namespaces   = Resource{Version: "v1", Name: "namespaces", Kind: "Namespace"}
	clusterRoles = Resource{Group: "rbac.authorization.k8s.io", Version: "v1", Name: "clusterroles", Kind: "ClusterRole"}
	roles        = Resource{Group: "rbac.authorization.k8s.io", Version: "v1", Name: "roles", Kind: "Role", Namespaced: true}
)

func TestPath(t *testing.T) {
	for _, c := range []struct {
		resource        Resource
		namespace, name string
		path            string
	}{
		{deployments, "shop", "cart", "namespaces/shop/deployments.apps/cart.yaml"},
		{services, "shop", "cart", "namespaces/shop/services/cart.yaml"},
		{services, "shop", "cart.v2", "namespaces/shop/services/cart.v2.yaml"},
		{namespaces, "", "shop", "cluster/namespaces/shop.yaml"},
		{namespaces, "shop", "shop", "cluster/namespaces/shop.yaml"},
		{clusterRoles, "", "system:node", "cluster/clusterroles.rbac.authorization.k8s.io/system%3Anode.yaml"},
		{clusterRoles, "", "Admin", "cluster/clusterroles.rbac.authorization.k8s.io/Admin.yaml"},
		{roles, "shop", `a b*?"<>|\$`, "namespaces/shop/roles.rbac.authorization.k8s.io/a%20b%2A%3F%22%3C%3E%7C%5C%24.yaml"},
		{roles, "shop", ".hidden.", "namespaces/shop/roles.rbac.authorization.k8s.io/%2Ehidden%2E.yaml"},
		{roles, "shop", "50%", "namespaces/shop/roles.rbac.authorization.k8s.io/50%25.yaml"},
		{roles, "shop", "Zürich\n", "namespaces/shop/roles.rbac.authorization.k8s.io/Z%C3%BCrich%0A.yaml"},
		{services, "con", "nul", "namespaces/%63on/services/%6Eul.yaml"},
		{services, "shop", "com1.x", "namespaces/shop/services/%63om1.x.yaml"},
		{services, "shop", "com10", "namespaces/shop/services/com10.yaml"},
		{services, "shop", "console", "namespaces/shop/services/console.yaml"},
		{services, "shop", strings.Repeat("a", 253), "namespaces/shop/services/" + strings.Repeat("a", 234) + "%/" + strings.Repeat("a", 19) + ".yaml"},
	} {
		require.Equal(t, c.path, Path(c.resource, c.namespace, c.name))
		location, ok := ParsePath(c.path)
		require.True(t, ok, c.path)
		if !c.resource.Namespaced {
			c.namespace = ""
		}
		require.Equal(t, Location{Group: c.resource.Group, Resource: c.resource.Name, Namespace: c.namespace, Name: c.name}, location)
	}
}

func TestParsePathRefusesWhatPathDoesNotGive(t *testing.T) {
	for _, path := range []string{
		"", ".yaml", "cluster/namespaces/.yaml", "cluster//shop.yaml", "cluster/namespaces/shop.yml", "cluster/namespaces/shop",
		"namespaces/shop/services.yaml", "namespaces//services/cart.yaml", "namespaces/shop//cart.yaml",
		"namespaces/shop/services/a/b.yaml", "other/namespaces/shop.yaml", "/cluster/namespaces/shop.yaml",
		"cluster/namespaces/sh%6Fp.yaml", "cluster/namespaces/a%3a.yaml", "cluster/namespaces/a%.yaml", "cluster/namespaces/a%2.yaml",
		"cluster/namespaces/a:b.yaml", "cluster/namespaces/con.yaml", "cluster/namespaces/a%/b.yaml", "cluster/namespaces%2Eapps/a.yaml/",
		"cluster/roles./a.yaml", ".cluster-sync.yaml",
	} {
		location, ok := ParsePath(path)
		require.False(t, ok, path)
		require.Zero(t, location)
	}
}

func anyName() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z0-9]([-.a-z0-9]{0,20}[a-z0-9])?`),
		rapid.StringMatching(`[ -~]{1,12}`),
		rapid.StringMatching(`(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.[a-z]+)?`),
		rapid.StringMatching(`[.:%]{1,300}`),
		rapid.StringMatching(`[a-z.]{230,260}`),
		rapid.StringN(1, 100, 300),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 10), func(b []byte) string { return string(b) }),
	)
}

func TestPathIsInvertibleAndSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Resource{Name: anyName().Draw(t, "resource"), Group: rapid.OneOf(rapid.Just(""), anyName()).Draw(t, "group")}
		r.Namespaced = rapid.Bool().Draw(t, "namespaced")
		location := Location{Group: r.Group, Resource: r.Name, Name: anyName().Draw(t, "name")}
		if r.Namespaced {
			location.Namespace = anyName().Draw(t, "namespace")
		}
		path := Path(r, location.Namespace, location.Name)

		parsed, ok := ParsePath(path)
		if !ok || parsed != location {
			t.Fatalf("%q parses to %+v, %v", path, parsed, ok)
		}
		for _, segment := range strings.Split(path, "/") {
			if segment == "" || segment[0] == '.' || strings.HasSuffix(segment, ".") || isDevice(segment) {
				t.Fatalf("segment %q of %q", segment, path)
			}
			if i := strings.IndexFunc(segment, func(r rune) bool { return r != '%' && (r > 0x7f || !plain(byte(r))) }); i >= 0 {
				t.Fatalf("character %q in %q", segment[i], path)
			}
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if len(name) > 255 {
			t.Fatalf("%d bytes in %q", len(name), name)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, path := range []string{
		"namespaces/shop/deployments.apps/cart.yaml", "cluster/namespaces/shop.yaml", "cluster/a.b/%3A.yaml",
		"cluster/a.b/" + strings.Repeat("a", 234) + "%/" + strings.Repeat("a", 19) + ".yaml",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		location, ok := ParsePath(path)
		if !ok {
			return
		}
		r := Resource{Group: location.Group, Name: location.Resource, Namespaced: location.Namespace != ""}
		require.Equal(t, path, Path(r, location.Namespace, location.Name))
	})
}
