package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

// position is the present end of a log, 0 before there is one.
func position(log string) (int64, error) {
	stat, err := os.Stat(log)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return stat.Size(), nil
}

// auditedRequests counts a user's requests in an audit log from a position on,
// by verb, such as list.
func auditedRequests(log string, from int64, user string) (map[string]float64, error) {
	counts := map[string]float64{}
	err := eachLine(log, from, func(line []byte) error {
		var event struct {
			Verb string `json:"verb"`
			User struct {
				Username string `json:"username"`
			} `json:"user"`
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return err
		}
		if event.User.Username == user {
			counts[event.Verb]++
		}
		return nil
	})
	return counts, err
}

// gitRequests counts the requests for a repository in the Git server's log.
func gitRequests(log string, from int64, repository string) (float64, error) {
	count := 0.0
	err := eachLine(log, from, func(line []byte) error {
		if strings.Contains(string(line), " /"+repository+".git/") {
			count++
		}
		return nil
	})
	return count, err
}

// eachLine passes over a last line that isn't whole yet.
func eachLine(path string, from int64, do func([]byte) error) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return err
	}
	reader := bufio.NewReader(file)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(bytes.TrimSpace(line)); err != nil {
			return err
		}
	}
}
