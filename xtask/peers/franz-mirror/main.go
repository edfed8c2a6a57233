// Command franz-mirror copies one topic from one Kafka cluster to another with the franz-go client, partition by partition, up to
// the end offsets that it finds at its start. It is what a careful Go engineer would write in an afternoon, and only a
// yardstick for `cargo xtask bench`: records are decoded and encoded, nothing is remembered between runs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// By default a client that has just asked for metadata waits for seconds before it asks again, and so for a topic that it has
// just created. That is no part of copying.
const metadataMinAge = 50 * time.Millisecond

func codec(name string) (kgo.CompressionCodec, error) {
	switch name {
	case "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.NoCompression(), fmt.Errorf("unknown codec %q", name)
}

func mirror(ctx context.Context, source, target, topic, codecName string, batchBytes int) error {
	compression, err := codec(codecName)
	if err != nil {
		return err
	}
	consumer, err := kgo.NewClient(
		kgo.SeedBrokers(source),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.MetadataMinAge(metadataMinAge),
	)
	if err != nil {
		return err
	}
	defer consumer.Close()
	producer, err := kgo.NewClient(
		kgo.SeedBrokers(target),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(compression),
		kgo.ProducerBatchMaxBytes(int32(batchBytes)),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.MetadataMinAge(metadataMinAge),
	)
	if err != nil {
		return err
	}
	defer producer.Close()

	ends, err := kadm.NewClient(consumer).ListCommittedOffsets(ctx, topic)
	if err != nil {
		return err
	}
	if err := ends.Error(); err != nil {
		return err
	}
	partitions := int32(len(ends[topic]))
	if _, err := kadm.NewClient(producer).CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		return err
	}
	left := map[int32]int64{}
	for partition, end := range ends[topic] {
		if end.Offset > 0 {
			left[partition] = end.Offset
		}
	}
	var failed atomic.Pointer[error]
	for len(left) > 0 {
		fetches := consumer.PollFetches(ctx)
		if errs := fetches.Errors(); len(errs) > 0 {
			return errs[0].Err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if record.Offset+1 >= left[record.Partition] {
				delete(left, record.Partition)
			}
			copied := &kgo.Record{
				Key: record.Key, Value: record.Value, Headers: record.Headers, Timestamp: record.Timestamp,
				Topic: topic, Partition: record.Partition,
			}
			producer.Produce(ctx, copied, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			})
		})
		if err := failed.Load(); err != nil {
			return *err
		}
	}
	if err := producer.Flush(ctx); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func main() {
	source := flag.String("source", "", "bootstrap server of the source cluster")
	target := flag.String("target", "", "bootstrap server of the target cluster")
	topic := flag.String("topic", "", "topic to copy")
	codecName := flag.String("codec", "none", "codec of the produced batches")
	batchBytes := flag.Int("batch-bytes", 1_000_012, "largest batch to produce")
	flag.Parse()
	if err := mirror(context.Background(), *source, *target, *topic, *codecName, *batchBytes); err != nil {
		fmt.Fprintln(os.Stderr, "franz-mirror:", err)
		os.Exit(1)
	}
}
