package workflows_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// TestEveryFieldOfTheStateIsCarried fills each field of what one run hands to the next with something: also those that
// no query tells of.
func TestEveryFieldOfTheStateIsCarried(t *testing.T) {
	var state, carried workflows.State
	fill(t, reflect.ValueOf(&state).Elem(), "State")
	text, err := json.Marshal(state)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &carried))
	require.Equal(t, state, carried)
}

// fill gives a value and all that is in it something else than its zero.
func fill(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)))
			return
		}
		for i := range v.NumField() {
			require.True(t, v.Type().Field(i).IsExported(), "%s.%s can't be carried", path, v.Type().Field(i).Name)
			fill(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), path)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), path)
		fill(t, v.Index(1), path)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, path)
		fill(t, value, path)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("text of " + path)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(len(path)) * int64(time.Second))
	default:
		require.Fail(t, "a kind of field that this test doesn't know", "%s is a %s", path, v.Kind())
	}
}
