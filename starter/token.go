package main

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
)

// maxToken is far above the length of any access token, and keeps a wrong file from being read whole.
const maxToken = 64 << 10

// readToken gets the access token from a file or from standard input; it is empty when neither is asked
// for. No error repeats the token, nor the name of a file that isn't there: that may be the token, given
// in the wrong place.
func readToken(ctx context.Context, t *terminal, file string, stdin bool) (string, error) {
	switch {
	case file != "":
		text, err := readSmallFile(file)
		if err != nil {
			return "", errors.New("the file of --pat-file can't be read (" + reason(err) + "): give the path of a file that holds the token")
		}
		return parseToken(text)
	case stdin && t.inTTY:
		text, err := t.askSecret(ctx, "Access token: ")
		if err != nil {
			return "", errors.New("the token can't be read from the terminal: use --pat-file")
		}
		return parseToken(text)
	case stdin:
		text, err := await(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(t.in, maxToken+1)) })
		if err != nil {
			return "", errors.New("the token can't be read from standard input: use --pat-file")
		}
		return parseToken(text)
	}
	return "", nil
}

func parseToken(text []byte) (string, error) {
	token := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case token == "":
		return "", errors.New("the token is empty: put the access token of the Git server into the file or standard input")
	case len(text) > maxToken || strings.ContainsAny(token, "\r\n"):
		return "", errors.New("the token must be a single line: give a file or standard input that holds nothing else")
	case strings.ContainsFunc(token, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return "", errors.New("the token holds spaces or unprintable characters: copy it again")
	}
	return token, nil
}

// readCA reads the certificates that the Git server's certificate is checked against.
func readCA(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.New("the file of --ca-file can't be read (" + reason(err) + ")")
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return nil, errors.New("the file of --ca-file holds no certificate: it must be in PEM, beginning with -----BEGIN CERTIFICATE-----")
	}
	return text, nil
}

func readSmallFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxToken+1))
}

// reason is what the system says about a file, without its name.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
