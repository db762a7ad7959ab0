package manifest

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachRuleSaysWhy(t *testing.T) {
	for resource, rules := range kindRules() {
		require.NotContains(t, resource, "/")
		for _, r := range slices.Concat(rules, commonRules(), serverRules()) {
			require.NotEmpty(t, r.why, "%s: %s", resource, r.at)
		}
	}
}

// What Denormalise may have to make so that there is something to put back, Normalise takes away again.
func TestWhatARuleEmptiesIsTakenOut(t *testing.T) {
	for name, set := range rulesets {
		for _, r := range set.rules {
			last := r.steps[len(r.steps)-1]
			if last.items {
				require.True(t, set.emptied[last.path], "%s: %s", name, last.path)
			}
			if len(r.steps) > 2 && r.steps[0].field == "metadata" && !r.emptied {
				require.True(t, set.emptied[r.steps[1].path], "%s: %s", name, r.at)
			}
		}
	}
}

func TestCompile(t *testing.T) {
	compiled := compile(rule{at: `a.b[x,y.z].c["d.e/f"]`})
	var steps []string
	for _, s := range compiled.steps {
		steps = append(steps, s.field+" "+s.path)
	}
	require.Equal(t, []string{"a a", "b a.b", "c a.b[x,y.z].c", `d.e/f a.b[x,y.z].c["d.e/f"]`}, steps)
	require.Equal(t, []string{"x", "y.z"}, compiled.steps[1].keys)
	require.True(t, compile(rule{at: "a[*]"}).steps[0].items)
	for _, malformed := range []string{"a..b", ".a", "a[*].b", "a[x]", `a["b`, "a[b"} {
		require.Panics(t, func() { compile(rule{at: malformed}) }, malformed)
	}
}

func TestResourcesWithoutRulesOfTheirOwnShareTheCommonOnes(t *testing.T) {
	require.Same(t, defaultRuleset, rulesOf(Resource{Group: "example.com", Name: "services"}))
	require.NotSame(t, defaultRuleset, rulesOf(services))
	require.Equal(t, len(kindRules()), len(slices.Collect(maps.Keys(rulesets))))
}
