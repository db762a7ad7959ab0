package manifest

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func forEachResource(t *testing.T, property func(t *rapid.T, r Resource)) {
	for _, r := range allResources() {
		t.Run(r.String(), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { property(t, r) })
		})
	}
}

func TestDenormaliseIsLossless(t *testing.T) {
	forEachResource(t, func(t *rapid.T, r Resource) {
		git := anyObject(r).Draw(t, "git")
		live := anyObject(r).Draw(t, "live")
		s := Surroundings{Scaled: rapid.Bool().Draw(t, "scaled")}
		Normalise(r, git, s)
		gitBefore, liveBefore := cloneObject(git), cloneObject(live)

		out := Denormalise(r, git, live, s)

		if !reflect.DeepEqual(git, gitBefore) || !reflect.DeepEqual(live, liveBefore) {
			t.Fatal("an input was changed")
		}
		again := cloneObject(out)
		if Normalise(r, again, s); !reflect.DeepEqual(again, git) {
			t.Fatalf("Normalise(Denormalise(git, live)):\n%s\nof\n%s", show(again), show(out))
		}
	})
}

func TestNormaliseIsIdempotent(t *testing.T) {
	forEachResource(t, func(t *rapid.T, r Resource) {
		obj := anyObject(r).Draw(t, "object")
		s := Surroundings{Scaled: rapid.Bool().Draw(t, "scaled")}
		Normalise(r, obj, s)
		once := cloneObject(obj)
		if Normalise(r, obj, s); !reflect.DeepEqual(obj, once) {
			t.Fatalf("twice:\n%s\nonce:\n%s", show(obj), show(once))
		}
	})
}

func TestNormaliseTakesAnyObject(t *testing.T) {
	forEachResource(t, func(t *rapid.T, r Resource) {
		obj := rapid.MapOfN(rapid.SampledFrom([]string{"metadata", "spec", "status", "webhooks", "secrets", "rules"}), anyValue(4), 0, 6).Draw(t, "object")
		live := rapid.MapOfN(rapid.SampledFrom([]string{"metadata", "spec", "status", "webhooks", "secrets", "rules"}), anyValue(4), 0, 6).Draw(t, "live")
		Skip(r, obj, Selection{})
		ScaleTargets(obj)
		Denormalise(r, obj, live, Surroundings{Scaled: true})
		Normalise(r, obj, Surroundings{Scaled: true})
	})
}

func show(obj map[string]any) []byte {
	out, err := Encode(obj)
	if err != nil {
		return []byte(err.Error())
	}
	return out
}
