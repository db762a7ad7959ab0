package agekey_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
)

func TestKeysAreReadAsAgeKeygenWritesThem(t *testing.T) {
	first, err := agekey.Generate()
	require.NoError(t, err)
	second, err := agekey.Generate()
	require.NoError(t, err)
	other, err := agekey.Parse(second, nil)
	require.NoError(t, err)

	one, err := agekey.Parse(first, []byte("# ops\n"+other.Own()[0]+"\n\n"+other.Own()[0]+"\n"))
	require.NoError(t, err)
	require.Len(t, one.Own(), 1)
	require.Contains(t, string(first), "# public key: "+one.Own()[0])
	require.Len(t, one.Recipients(), 2)
	require.True(t, slices.IsSorted(one.Recipients()))

	both, err := agekey.Parse(slices.Concat(first, second), nil)
	require.NoError(t, err)
	require.Equal(t, one.Recipients(), both.Recipients(), "who has an identity can read")
	require.Len(t, both.Identities(), 2)
	require.NotEqual(t, one.Digest(), both.Digest())
	require.NotEqual(t, one.Mac([]byte("x")), both.Mac([]byte("x")))
}

func TestNoKeysAreEmpty(t *testing.T) {
	none, err := agekey.Parse([]byte("\n"), nil)
	require.NoError(t, err)
	require.True(t, none.Empty())
	require.Empty(t, none.Recipients())
}

func TestWhatIsNoKeyIsRefusedWithoutQuotingIt(t *testing.T) {
	for _, identities := range []string{"hunter2", "AGE-SECRET-KEY-1HUNTER2", "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2"} {
		_, err := agekey.Parse([]byte(identities), nil)
		require.ErrorContains(t, err, "AGE-SECRET-KEY-1…")
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), "HUNTER2")
	}
	_, err := agekey.Parse(nil, []byte("age1nonsense"))
	require.ErrorContains(t, err, "recipient")
}
