// Command etcdjudge tells what etcd's own tool finds in a snapshot, and restores it into a folder.
//
// It is the judge of our snapshot files: the library is the one that Talos recovers etcd with.
//
//	etcdjudge snapshot folder
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

func main() {
	if err := judge(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge(path, folder string) error {
	buckets := map[string]int{}

	db, err := bbolt.Open(path, 0o400, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}

	err = db.View(func(tx *bbolt.Tx) error {
		for problem := range tx.Check() {
			return fmt.Errorf("check: %w", problem)
		}

		return tx.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
			return bucket.ForEach(func(_, _ []byte) error {
				buckets[string(name)]++

				return nil
			})
		})
	})
	if err != nil {
		return err
	}

	if err = db.Close(); err != nil {
		return err
	}

	manager := snapshot.NewV3(zap.NewNop())

	status, err := manager.Status(path)
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}

	err = manager.Restore(snapshot.RestoreConfig{
		SnapshotPath:   path,
		Name:           "first",
		OutputDataDir:  folder,
		PeerURLs:       []string{"https://127.0.0.1:2380"},
		InitialCluster: "first=https://127.0.0.1:2380",
	})
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}

	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"buckets":  buckets,
		"revision": status.Revision,
		"keys":     status.TotalKey,
		"size":     status.TotalSize,
		"version":  status.Version,
	})
}
