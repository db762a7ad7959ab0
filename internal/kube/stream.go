package kube

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	kjson "sigs.k8s.io/json"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// newWatcher prepares a client for watches whose events are decoded once. The dynamic client reads each event
// four times over: to find its end, to take the object out of it, to see what the object is, and to decode
// it. At the start of a worker that is most of the work.
func newWatcher(config *rest.Config, client *http.Client) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &schema.GroupVersion{}
	config.APIPath = "/"
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	config.NegotiatedSerializer = eventCodec{}
	return rest.UnversionedRESTClientForConfigAndClient(config, client)
}

// resourcePath is where the API server has all objects of a resource.
func resourcePath(r manifest.Resource) string {
	if r.Group == "" {
		return path.Join("/api", r.Version, r.Name)
	}
	return path.Join("/apis", r.Group, r.Version, r.Name)
}

// eventCodec says how a rest.Interface reads a watch: lines of JSON.
type eventCodec struct{}

func (eventCodec) SupportedMediaTypes() []runtime.SerializerInfo {
	return []runtime.SerializerInfo{{
		MediaType: runtime.ContentTypeJSON, MediaTypeType: "application", MediaTypeSubType: "json",
		EncodesAsText: true, Serializer: objectDecoder{},
		StreamSerializer: &runtime.StreamSerializerInfo{EncodesAsText: true, Serializer: eventDecoder{}, Framer: lines{}},
	}}
}

func (eventCodec) EncoderForVersion(encoder runtime.Encoder, _ runtime.GroupVersioner) runtime.Encoder {
	return encoder
}

func (eventCodec) DecoderToVersion(decoder runtime.Decoder, _ runtime.GroupVersioner) runtime.Decoder {
	return decoder
}

var errReadsOnly = errors.New("this client only reads")

// readsOnly is the half of a serializer that watches have no use for.
type readsOnly struct{}

func (readsOnly) Encode(runtime.Object, io.Writer) error { return errReadsOnly }
func (readsOnly) Identifier() runtime.Identifier         { return "reads-only" }

// arrived is an object of a watch, with the JSON that it came as.
type arrived struct {
	unstructured.Unstructured
	json []byte
}

// objectDecoder decodes an object, or the Status with which the API server says what is wrong.
type objectDecoder struct{ readsOnly }

func (objectDecoder) Decode(data []byte, _ *schema.GroupVersionKind, _ runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	u := &arrived{json: bytes.Clone(data)} // the next event is read to where data is
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &u.Object); err != nil {
		return nil, nil, err
	}
	kind := u.GroupVersionKind()
	if kind != metav1.SchemeGroupVersion.WithKind("Status") && kind != (schema.GroupVersionKind{Version: "v1", Kind: "Status"}) {
		return u, &kind, nil
	}
	status := &metav1.Status{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, status); err != nil {
		return nil, nil, err
	}
	return status, &kind, nil
}

// eventDecoder takes the object out of an event, undecoded.
type eventDecoder struct{ readsOnly }

// The parts of an event as API servers write it: {"type":"ADDED","object":{…}}.
var (
	eventBegin  = []byte(`{"type":"`)
	eventObject = []byte(`","object":`)
	eventEnd    = []byte(`}`)
)

func (eventDecoder) Decode(data []byte, _ *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	event, ok := into.(*metav1.WatchEvent)
	if !ok {
		return nil, nil, fmt.Errorf("a watch has events and no %T", into)
	}
	if rest, ok := bytes.CutPrefix(data, eventBegin); ok {
		kind, object, found := bytes.Cut(rest, eventObject)
		if object, closed := bytes.CutSuffix(object, eventEnd); found && closed && bytes.IndexByte(kind, '"') < 0 {
			event.Type, event.Object.Raw = string(kind), object
			return event, nil, nil
		}
	}
	return event, nil, json.Unmarshal(data, event) // another order of the fields is as good
}

// lines cuts a watch into its events, which stand on a line each.
type lines struct{}

func (lines) NewFrameWriter(w io.Writer) io.Writer { return w }

func (lines) NewFrameReader(body io.ReadCloser) io.ReadCloser {
	return &lineReader{body: body, buffered: bufio.NewReaderSize(body, 32<<10)}
}

// lineReader hands out one line after the other; io.ErrShortBuffer says that the line goes on.
type lineReader struct {
	body     io.ReadCloser
	buffered *bufio.Reader
	rest     []byte // read, and not handed out yet
	more     bool   // the line goes on after rest
}

func (l *lineReader) Close() error { return l.body.Close() }

func (l *lineReader) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	if l.rest = l.rest[n:]; len(l.rest) > 0 || l.more {
		return n, io.ErrShortBuffer
	}
	return n, nil
}

// next reads a line, or as much of it as the buffer takes. What a broken connection has left of a line is
// none.
func (l *lineReader) next() error {
	line, err := l.buffered.ReadSlice('\n')
	switch {
	case err == nil:
		l.rest, l.more = bytes.TrimRight(line, "\r\n"), false
	case errors.Is(err, bufio.ErrBufferFull):
		l.rest, l.more = line, true
	case errors.Is(err, io.EOF) && len(line) > 0:
		return io.ErrUnexpectedEOF
	default:
		return err
	}
	return nil
}
