package codec_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/active-cluster-sync/active-cluster-sync/internal/codec"
)

// keyFile writes a file with a key for each ID, the same one for the same letter.
func keyFile(t *testing.T, ids ...string) string {
	t.Helper()
	var text strings.Builder
	for _, id := range ids {
		text.WriteString("\n# a key\n" + id + ":" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(id[:1], 32))) + "\n")
	}
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	return path
}

func configured(t *testing.T, keyFile string) client.Options {
	t.Helper()
	var options client.Options
	require.NoError(t, codec.Configure(&options, keyFile))
	return options
}

func keys(t *testing.T, ids ...string) codec.Keys {
	t.Helper()
	k, err := codec.ReadKeys(keyFile(t, ids...))
	require.NoError(t, err)
	return k
}

func TestWhatIsEncryptedCanBeReadWithItsKeyAlone(t *testing.T) {
	const secret = "https://git.example.com/ops/primary.git"
	old, rotated, other := configured(t, keyFile(t, "a")), configured(t, keyFile(t, "b", "a")), configured(t, keyFile(t, "c"))
	payload, err := old.DataConverter.ToPayload(secret)
	require.NoError(t, err)
	require.NotContains(t, payload.String(), "git.example.com")
	again, err := old.DataConverter.ToPayload(secret)
	require.NoError(t, err)
	require.NotEqual(t, payload.GetData(), again.GetData(), "equal content must not show")

	var text string
	for name, options := range map[string]client.Options{"its key": old, "rotated": rotated} {
		text = ""
		require.NoError(t, options.DataConverter.FromPayload(payload, &text), name)
		require.Equal(t, secret, text)
	}
	require.ErrorContains(t, other.DataConverter.FromPayload(payload, &text), `key "a", which is not in the codec's key file`)
	require.ErrorContains(t, configured(t, "").DataConverter.FromPayload(payload, &text), "--codec-key-file")

	renewed, err := rotated.DataConverter.ToPayload(secret)
	require.NoError(t, err)
	require.ErrorContains(t, old.DataConverter.FromPayload(renewed, &text), `key "b"`, "the first key of the file encrypts")

	wrong := proto.CloneOf(renewed)
	wrong.Data[len(wrong.Data)-1] ^= 1
	require.ErrorContains(t, rotated.DataConverter.FromPayload(wrong, &text), "does not decrypt")
	wrong.Data = wrong.GetData()[:20]
	require.ErrorContains(t, rotated.DataConverter.FromPayload(wrong, &text), "cut off")
}

func TestWhatWasThereBeforeTheKeyCanStillBeRead(t *testing.T) {
	plain, err := converter.GetDefaultDataConverter().ToPayload("before")
	require.NoError(t, err)
	var text string
	require.NoError(t, configured(t, keyFile(t, "a")).DataConverter.FromPayload(plain, &text))
	require.Equal(t, "before", text)
}

func TestErrorsAreEncryptedWithTheirDetails(t *testing.T) {
	options := configured(t, keyFile(t, "a"))
	failure := options.FailureConverter.ErrorToFailure(temporal.NewApplicationError("push to git.example.com", "AuthFailed", "detail of git.example.com"))
	text, err := proto.Marshal(failure)
	require.NoError(t, err)
	require.NotContains(t, string(text), "git.example.com")
	var back *temporal.ApplicationError
	require.True(t, errors.As(options.FailureConverter.FailureToError(failure), &back))
	require.Equal(t, "push to git.example.com", back.Message())
	require.Equal(t, "AuthFailed", back.Type(), "decisions are made by it, and metrics")
}

func TestCodecGivesBackWhatItGot(t *testing.T) {
	c := codec.New(keys(t, "a"))
	rapid.Check(t, func(t *rapid.T) {
		payload := &commonpb.Payload{
			Metadata: map[string][]byte{"encoding": []byte(rapid.String().Draw(t, "encoding"))},
			Data:     rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
		}
		encoded, err := c.Encode([]*commonpb.Payload{payload})
		require.NoError(t, err)
		decoded, err := c.Decode(encoded)
		require.NoError(t, err)
		require.True(t, proto.Equal(payload, decoded[0]))
	})
}

func TestKeyFileThatCantBeUsedSaysWhy(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	for content, says := range map[string]string{
		"":                              "there is no key in it",
		"# " + good:                     "there is no key in it",
		good:                            "line 1 is not ID:KEY",
		"k:" + good + "\nk:" + good:     "a second key k",
		"\nk:c2hvcnQ=":                  "the key in line 2 is not 32 bytes",
		"with space:" + good:            "is not ID:KEY",
		"k:" + good[:len(good)-2] + "!": "is not 32 bytes",
	} {
		path := filepath.Join(t.TempDir(), "keys")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := codec.ReadKeys(path)
		require.ErrorContains(t, err, says, content)
		require.NotContains(t, err.Error(), good[:20], "no key in an error")
	}
	_, err := codec.ReadKeys(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestEndpointDecodesForTheWebUIAlone(t *testing.T) {
	const ui = "http://localhost:8233"
	server := httptest.NewServer(codec.Handler(keys(t, "a"), ui))
	defer server.Close()
	remote := func(origin string) converter.PayloadCodec {
		return converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{
			Endpoint: server.URL, ModifyRequest: func(r *http.Request) error { r.Header.Set("Origin", origin); return nil },
		})
	}
	payload := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`"x"`)}
	encoded, err := codec.New(keys(t, "a")).Encode([]*commonpb.Payload{payload})
	require.NoError(t, err)
	decoded, err := remote(ui).Decode(encoded)
	require.NoError(t, err)
	require.True(t, proto.Equal(payload, decoded[0]))
	_, err = remote("http://evil.example").Decode(encoded)
	require.Error(t, err, "a page of somebody else")
	_, err = remote(ui).Encode(decoded)
	require.Error(t, err, "it must not encode")

	for origin, status := range map[string]int{ui: http.StatusNoContent, "http://evil.example": http.StatusForbidden} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, server.URL+"/decode", nil)
		require.NoError(t, err)
		request.Header.Set("Origin", origin)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode)
		if status == http.StatusNoContent {
			require.Equal(t, ui, response.Header.Get("Access-Control-Allow-Origin"))
			require.Contains(t, response.Header.Get("Access-Control-Allow-Headers"), "X-Namespace")
		}
	}
}
