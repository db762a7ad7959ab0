package merge

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// place is where a story happens: an object around what the story is about.
type place struct {
	apiVersion, kind string
	at               string // of the story's text, as a JSON pointer
}

var (
	deployment = place{"apps/v1", "Deployment", "/spec"}
	pods       = place{"apps/v1", "Deployment", "/spec/template/spec"}
	metadata   = place{"apps/v1", "Deployment", "/metadata"}
	service    = place{"v1", "Service", "/spec"}
	configMap  = place{"v1", "ConfigMap", "/data"}
	role       = place{"rbac.authorization.k8s.io/v1", "Role", "/rules"}
	autoscaler = place{"autoscaling/v2", "HorizontalPodAutoscaler", "/spec"}
	budget     = place{"policy/v1", "PodDisruptionBudget", "/spec"}
	widget     = place{"example.com/v1", "Widget", "/spec"}
)

// object puts a story's text into its object. A text of nothing is an object without the place.
func (p place) object(t testing.TB, text string) map[string]any {
	t.Helper()
	obj := map[string]any{"apiVersion": p.apiVersion, "kind": p.kind, "metadata": map[string]any{"name": "cart", "namespace": "shop"}}
	if text == "" {
		return obj
	}
	steps := strings.Split(p.at, "/")[1:]
	in := obj
	for _, step := range steps[:len(steps)-1] {
		below := map[string]any{}
		in[step], in = below, below
	}
	in[steps[len(steps)-1]] = parse(t, "apiVersion: v1\nkind: Story\nstory: "+text)["story"]
	return obj
}

func (p place) typed(t testing.TB) Type { return typeOf(t, p.apiVersion, p.kind) }

// story tells what becomes of two sides' changes.
type story struct {
	name, base, git, cluster string
	merged                   string
	conflicts                []string // below the place
	preferCluster            string   // what is merged then; the same where there are no conflicts
}

// tell runs stories at their place, with either side winning.
func (p place) tell(t *testing.T, stories []story) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			base, git, cluster := p.object(t, s.base), p.object(t, s.git), p.object(t, s.cluster)
			if len(s.conflicts) == 0 {
				s.preferCluster = s.merged
			}
			var conflicts []string
			for _, c := range s.conflicts {
				conflicts = append(conflicts, p.at+c)
			}
			for prefer, want := range []string{Git: s.merged, Cluster: s.preferCluster} {
				merged, disputed, err := ThreeWay(p.typed(t), base, git, cluster, Side(prefer))
				require.NoError(t, err)
				require.Equal(t, conflicts, disputed)
				require.True(t, same(p.object(t, want), merged), "prefer %d: %v", prefer, merged)
			}
		})
	}
}

func TestWithoutASchemaListsAreOneValue(t *testing.T) {
	base := pods.object(t, `{containers: [{name: app, image: "app:1"}], dnsPolicy: Default}`)
	git := pods.object(t, `{containers: [{name: app, image: "app:2"}], dnsPolicy: Default}`)
	cluster := pods.object(t, `{containers: [{name: app, image: "app:1", tty: true}], dnsPolicy: None}`)
	merged, conflicts, err := ThreeWay(Type{}, base, git, cluster, Cluster)
	require.NoError(t, err)
	require.Equal(t, []string{"/spec/template/spec/containers"}, conflicts)
	require.Equal(t, cluster, merged)
	merged, _, err = ThreeWay(Type{}, base, git, cluster, Git)
	require.NoError(t, err)
	require.Equal(t, pods.object(t, `{containers: [{name: app, image: "app:2"}], dnsPolicy: None}`), merged)
}

func TestNumbersAreTheSameByTheirValue(t *testing.T) {
	whole, fraction, other := map[string]any{"n": int64(1)}, map[string]any{"n": 1.0}, map[string]any{"n": 1.5}
	for _, c := range []struct{ base, git, cluster, want map[string]any }{
		{whole, fraction, other, other},
		{fraction, whole, other, other},
		{whole, other, fraction, other},
		{fraction, other, whole, other},
		{other, whole, fraction, whole},
		{other, fraction, whole, fraction},
	} {
		merged, conflicts, err := ThreeWay(Type{}, c.base, c.git, c.cluster, Cluster)
		require.NoError(t, err)
		require.Empty(t, conflicts)
		require.Equal(t, c.want, merged)
	}
	_, conflicts, err := ThreeWay(Type{}, whole, other, map[string]any{"n": true}, Git)
	require.NoError(t, err)
	require.Equal(t, []string{"/n"}, conflicts)
	carried, err := Carry(Type{}, map[string]any{"n": "mine"}, whole, fraction)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"n": "mine"}, carried)
}

func TestObjectThatBothSidesCreatedMerges(t *testing.T) {
	git := configMap.object(t, `{a: "1", b: "2"}`)
	cluster := configMap.object(t, `{a: "2", c: "3"}`)
	merged, conflicts, err := ThreeWay(configMap.typed(t), nil, git, cluster, Git)
	require.NoError(t, err)
	require.Equal(t, []string{"/data/a"}, conflicts)
	require.Equal(t, configMap.object(t, `{a: "1", b: "2", c: "3"}`), merged)
}

func TestWhatIsNoPlainObjectIsAnError(t *testing.T) {
	odd := map[string]any{"spec": map[string]any{"list": []any{[]string{"a"}}}}
	for _, args := range [][3]map[string]any{{{}, odd, {}}, {odd, odd, odd}, {odd, {}, odd}, {{}, nil, nil}, {{}, nil, {}}} {
		_, _, err := ThreeWay(Type{}, args[0], args[1], args[2], Git)
		_, err2 := Carry(Type{}, args[0], args[1], args[2])
		require.True(t, err != nil || err2 != nil, "%v", args)
	}
	_, _, err := ThreeWay(Type{}, nil, odd, odd, Git)
	require.EqualError(t, err, "merge: spec: list: 0: a []string is no value of a plain object")
}

func TestItemsFollowWhatTheyFollowedWhereTheyCameFrom(t *testing.T) {
	list := func(names string) items {
		l := items{by: map[string]any{}}
		for _, name := range strings.Fields(names) {
			l.keys, l.by[name] = append(l.keys, name), name
		}
		return l
	}
	for _, c := range []struct{ lead, rest, want string }{
		{"a b c", "", "a b c"},
		{"", "a b c", "a b c"},
		{"a b c", "x a y z b", "x a y z b c"},
		{"a b c", "c x b y", "a b y c x"},
		{"a b", "x y", "x y a b"},
	} {
		all := list(c.lead + " " + c.rest)
		slices.Sort(all.keys)
		var got []string
		for _, item := range arrange(list(c.lead), list(c.rest), all.by) {
			got = append(got, item.(string))
		}
		require.Equal(t, c.want, strings.Join(got, " "), "%q with %q", c.lead, c.rest)
	}
}

func TestTakingTheLastEntryOutIsNoConflictWithAddingOne(t *testing.T) {
	configMap, widget := typeOf(t, "v1", "ConfigMap"), typeOf(t, "example.com/v1", "Widget")
	object := func(kind, rest string) map[string]any { return parse(t, "apiVersion: v1\nkind: "+kind+"\n"+rest) }
	base := object("ConfigMap", "metadata: {name: a, labels: {x: y}}\ndata: {a: '1'}")
	more := object("ConfigMap", "metadata: {name: a, labels: {x: y}}\ndata: {a: '1', b: '2'}")
	less := object("ConfigMap", "metadata: {name: a}")
	want := object("ConfigMap", "metadata: {name: a}\ndata: {b: '2'}")
	for _, prefer := range []Side{Git, Cluster} {
		for _, sides := range [][2]map[string]any{{more, less}, {less, more}} {
			merged, conflicts, err := ThreeWay(configMap, base, sides[0], sides[1], prefer)
			require.NoError(t, err)
			require.Empty(t, conflicts)
			require.Equal(t, want, merged)
		}
	}
	merged, _, err := ThreeWay(configMap, base, less, object("ConfigMap", "metadata: {name: a}\ndata: {}"), Git)
	require.NoError(t, err)
	require.NotContains(t, merged, "data")

	// What isn't known to be a collection may be a struct, of which half says nothing.
	_, conflicts, err := ThreeWay(widget, object("Widget", "spec: {free: {a: '1'}}"), object("Widget", "spec: {free: {a: '1', b: '2'}}"), object("Widget", "spec: {}"), Git)
	require.NoError(t, err)
	require.Equal(t, []string{"/spec/free"}, conflicts)
}
