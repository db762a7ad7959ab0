package kube

import (
	"bytes"
	"container/list"
	"fmt"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"
)

func TestTheLatestChangesAreKept(t *testing.T) {
	t.Parallel()
	c := recent{objects: map[string]*list.Element{}}
	c.keep("early", []byte("{}"))
	require.Nil(t, c.of("early"), "nobody writes yet")

	c.on = true
	mebi := bytes.Repeat([]byte("x"), 1<<20)
	for i := range 20 {
		c.keep(fmt.Sprint(i%19), mebi) // 0 comes again, last
	}
	require.Equal(t, maxRecent, c.bytes)
	for i := range 19 {
		require.Equal(t, i == 0 || i > 3, c.of(fmt.Sprint(i)) != nil, "%d", i)
	}
	c.keep("larger than all of them", make([]byte, maxRecent+1))
	require.Equal(t, maxRecent, c.bytes)
	for i := range 19 {
		c.drop(fmt.Sprint(i))
	}
	require.Zero(t, c.bytes)
	require.Zero(t, c.order.Len())
}

func TestOnlyChangesOfWhatIsExportedAreKept(t *testing.T) {
	t.Parallel()
	c := recent{on: true, objects: map[string]*list.Element{}}
	one, two := &entry{hash: plumbing.ComputeHash(plumbing.BlobObject, []byte("1"))}, &entry{}
	c.note("new", nil, one, []byte("{}"))
	c.note("status", one, one, []byte("{}"))
	require.Empty(t, c.objects)
	c.note("drift", one, two, []byte("{}"))
	c.note("drift", two, two, []byte(`{"status":{}}`))
	require.Equal(t, `{"status":{}}`, string(c.of("drift")), "the version that a write has to be based on")
	c.note("drift", two, one, nil)
	require.Empty(t, c.objects, "a write's answer")
}
