package incidentio

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
)

// maxPages bounds a list: 50,000 things at 250 a page, far above any account's incidents between two sweeps. A server
// that always names a next page must not keep the agent for ever.
const maxPages = 200

// listing is a list call.
type listing struct {
	path     string
	member   string // the answer's member that holds the list
	query    url.Values
	pageSize int // the most that the call takes; 0 where it does not page
	max      int // how many are wanted, 0 for all
}

// one reads a single thing.
func one[T any](ctx context.Context, c *Client, path, member string, query url.Values) (T, Result) {
	r := c.Send(ctx, Call{Method: http.MethodGet, Path: path, Query: query})
	return decoded[T](r, member)
}

// post makes something and reads it from the answer.
func post[T any](ctx context.Context, c *Client, path, member string, body any) (T, Result) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // the package's own request types always marshal
	}
	return decoded[T](c.Send(ctx, Call{Method: http.MethodPost, Path: path, Body: b}), member)
}

func decoded[T any](r Result, member string) (T, Result) {
	var v T
	if !r.OK() {
		return v, r
	}
	if err := unwrap(r.Body, member, &v); err != nil {
		var zero T
		return zero, r.unreadable(err)
	}
	return v, r
}

// unreadable turns a good answer that can't be understood into one to ask for again.
func (r Result) unreadable(err error) Result {
	r.Class, r.Code = Retry, "unreadable"
	r.Message = oneLine("the answer can't be read: "+err.Error(), maxMessage)
	return r
}

// unwrap reads one member of an answer into v. It must be there, and be something unless it is a list.
func unwrap(body []byte, member string, v any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return err
	}
	raw, ok := members[member]
	if !ok || string(raw) == "null" && reflect.TypeOf(v).Elem().Kind() != reflect.Slice {
		return fmt.Errorf("it has no %q", member)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", member, err)
	}
	return nil
}

// list reads all pages of a list. Where one fails, nothing is given: a part could be taken for the whole.
func list[T any](ctx context.Context, c *Client, l listing) ([]T, Result) {
	query := url.Values{}
	for k, v := range l.query {
		query[k] = v
	}
	size := l.pageSize
	if l.max > 0 {
		size = min(size, l.max)
	}
	all := []T{}
	for requests := 1; ; requests++ {
		if size > 0 {
			query.Set("page_size", strconv.Itoa(size))
		}
		r := c.Send(ctx, Call{Method: http.MethodGet, Path: l.path, Query: query})
		if r.Code == "too_large" && size > 10 && requests < maxPages {
			// Incidents carry their fields' whole definitions; fewer of them fit.
			size = max(size/5, 10)
			continue
		}
		page, r := decoded[[]T](r, l.member)
		var meta struct {
			After string `json:"after"`
		}
		if r.OK() && l.pageSize > 0 {
			var wrapper struct {
				Meta json.RawMessage `json:"pagination_meta"`
			}
			_ = json.Unmarshal(r.Body, &wrapper) // it was valid just now
			_ = json.Unmarshal(wrapper.Meta, &meta)
		}
		if r.Requests > 0 {
			r.Requests = requests
		}
		if !r.OK() {
			return nil, r
		}
		all = append(all, page...)
		last := meta.After == "" || len(page) == 0
		switch {
		case l.max > 0 && len(all) >= l.max:
			r.Truncated = len(all) > l.max || !last
			return all[:l.max], r
		case last:
			return all, r
		case requests == maxPages, meta.After == query.Get("after"):
			r.Truncated = true
			return all, r
		}
		query.Set("after", meta.After)
	}
}
