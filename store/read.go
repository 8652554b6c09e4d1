package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// read prepares a query once for the read pool. One is prepared at a time: the many of a start would else open all
// connections, which takes longer than to wait.
func (s *Store) read(query string) (*sql.Stmt, error) {
	if st, ok := s.stmts.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	s.preparing.Lock()
	defer s.preparing.Unlock()
	if st, ok := s.stmts.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := s.readDB.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, s.sound(err)
	}
	s.stmts.Store(query, st)
	return st, nil
}

// one scans the first row of a query that takes microseconds. ctx is looked at beforehand only: to watch it meanwhile
// costs a goroutine for each query.
func (s *Store) one(ctx context.Context, what, query string, args []any, dest ...any) (found bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	st, err := s.read(query)
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	err = st.QueryRowContext(context.Background(), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, s.sound(err))
	}
	return true, nil
}

// near is one for what a delivery reads just after a commit: where nobody writes now, it is read on the write connection,
// whose page cache a commit leaves as it is, while a reader has to fetch anew each page that it needs.
func (s *Store) near(ctx context.Context, what, query string, args []any, dest ...any) (found bool, err error) {
	if s.writer == nil || ctx.Err() != nil {
		return s.one(ctx, what, query, args, dest...)
	}
	found, ok, err := s.writer.peek(query, args, dest...)
	if !ok {
		return s.one(ctx, what, query, args, dest...)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, s.sound(err))
	}
	return found, nil
}

// all gathers the rows of a query; fields gives the places to scan a row into.
func all[T any](ctx context.Context, s *Store, what string, fields func(*T) []any, query string, args ...any) (out []T, err error) {
	err = each(ctx, s, what, fields, func(t T) { out = append(out, t) }, query, args...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// each hands over the rows of a query one by one.
func each[T any](ctx context.Context, s *Store, what string, fields func(*T) []any, do func(T), query string, args ...any) error {
	st, err := s.read(query)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, s.sound(err))
	}
	defer rows.Close()
	for rows.Next() {
		var t T
		if err := rows.Scan(fields(&t)...); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		do(t)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, s.sound(err))
	}
	return nil
}

// write runs a member of the next shared transaction.
func (s *Store) write(ctx context.Context, why string, size int, run func(*tx) error) error {
	return s.member(ctx, why, size, false, run)
}

// writeOne is write for what changes something by one statement only.
func (s *Store) writeOne(ctx context.Context, why string, size int, run func(*tx) error) error {
	return s.member(ctx, why, size, true, run)
}

func (s *Store) member(ctx context.Context, why string, size int, whole bool, run func(*tx) error) error {
	if s.writer == nil {
		return fmt.Errorf("%s: %w", why, ErrReadOnly)
	}
	if err := s.Damaged(); err != nil {
		return fmt.Errorf("%s: %w", why, err)
	}
	err := s.sound(s.writer.do(ctx, why, size, whole, run))
	if err == nil {
		// After the commit: what went into a file that is not there any more must not be acknowledged.
		if err = s.stillThere(); err != nil {
			err = fmt.Errorf("%s: %w", why, err)
		}
	}
	return err
}

// between runs fn on the write connection between two transactions.
func (s *Store) between(ctx context.Context, why string, fn func(*tx) error) error {
	if s.writer == nil {
		return fmt.Errorf("%s: %w", why, ErrReadOnly)
	}
	if err := s.Damaged(); err != nil {
		return fmt.Errorf("%s: %w", why, err)
	}
	return s.sound(s.writer.between(ctx, why, fn))
}
