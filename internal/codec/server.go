package codec

import (
	"net/http"
	"slices"

	"go.temporal.io/sdk/converter"
)

// maxBody is how much a page of the Web UI may have decoded at once, in bytes.
const maxBody = 32 << 20

// Handler decodes for the Web UI, at /decode; it encodes nothing. A browser may use it from the pages of the origins
// alone, such as http://localhost:8233: any page that somebody opens can send a request to this machine.
func Handler(keys Keys, origins ...string) http.Handler {
	decode := http.MaxBytesHandler(converter.NewPayloadCodecHTTPHandler(New(keys)), maxBody)
	mux := http.NewServeMux()
	mux.Handle("POST /decode", decode)
	mux.HandleFunc("OPTIONS /decode", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Methods", http.MethodPost)
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type, X-Namespace, Authorization, Authorization-Extras")
		if r.Header.Get("Access-Control-Request-Private-Network") != "" {
			w.Header().Set("Access-Control-Allow-Private-Network", "true")
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" {
			if !slices.Contains(origins, origin) {
				http.Error(w, "pages of "+origin+" are not allowed to decode: start codec-server with --ui-origin "+origin, http.StatusForbidden)
				return
			}
			w.Header().Set("Access-Control-Allow-Origin", origin)
		}
		mux.ServeHTTP(w, r)
	})
}
