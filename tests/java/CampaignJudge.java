import java.time.Duration;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Compares a topic's partitions record by record: what read_committed shows on the source against all that the target holds.
 *
 * <p>Records are known by the id in their header. <b>Lost</b>: the source has it, the target has it not, or fewer times.
 * <b>Doubled</b>: the target has it more often. <b>Out of order</b>: it stands behind a record that it stands before on the source.
 * <b>Changed</b>: timestamp, key, value or headers differ. <b>Foreign</b>: the source never showed it (a record of an aborted
 * transaction, for example).
 *
 * <p>A compacted source has forgotten records that were rightly copied before. There, the target (which is not compacted) may have
 * records that the source has no more, each once, in the order of the ids, with the content that follows from the id; and per
 * key its last record must be the source's last one, a tombstone where the source has none left.
 */
final class CampaignJudge {
    interface Sink {
        void print(String... fields);
    }

    private static final int EXAMPLES = 5;

    private final String source;
    private final String target;
    private final String topic;
    private final String targetTopic;
    private final int partitions;
    private final String kind;
    private final Sink sink;

    private long lost;
    private long doubled;
    private long disordered;
    private long changed;
    private long foreign;
    private int examples;
    private int partition;

    CampaignJudge(String source, String target, Arguments a, Sink sink) {
        this.source = source;
        this.target = target;
        this.topic = a.text("topic");
        this.targetTopic = a.text("target_topic", topic);
        this.partitions = a.number("partitions", 1);
        this.kind = a.text("kind");
        this.sink = sink;
    }

    /** The records of one partition in order. */
    private static final class Log {
        long[] ids = new long[1024];
        long[] digests = new long[1024];
        long[] offsets = new long[1024];
        int count;
        final Map<String, Long> last = new HashMap<>();
        final Set<Long> tombstones = new HashSet<>();

        void add(long id, long digest, long offset) {
            if (count == ids.length) {
                ids = Arrays.copyOf(ids, 2 * count);
                digests = Arrays.copyOf(digests, 2 * count);
                offsets = Arrays.copyOf(offsets, 2 * count);
            }
            ids[count] = id;
            digests[count] = digest;
            offsets[count++] = offset;
        }
    }

    void run() {
        for (partition = 0; partition < partitions; partition++) {
            lost = doubled = disordered = changed = foreign = 0;
            Log expected = read(source, topic, "read_committed");
            Log found = read(target, targetTopic, "read_uncommitted");
            if (kind.startsWith("compact")) {
                compareCompacted(expected, found);
            } else {
                compare(expected, found);
            }
            sink.print("p", Integer.toString(partition), Long.toString(expected.count), Long.toString(found.count), Long.toString(lost),
                    Long.toString(doubled), Long.toString(disordered), Long.toString(changed), Long.toString(foreign));
        }
    }

    private void example(String what, long id, Log log, int index) {
        if (examples++ < EXAMPLES) {
            sink.print("e", what + ": " + topic + "-" + partition + " id " + id + (index < 0 ? "" : " at offset " + log.offsets[index]));
        }
    }

    /** Positions of each id in the source; a target record takes the next one of its id. */
    private void compare(Log expected, Log found) {
        Map<Long, int[]> places = new HashMap<>();
        for (int i = 0; i < expected.count; i++) {
            int[] known = places.get(expected.ids[i]);
            int[] more = known == null ? new int[] {1} : Arrays.copyOf(known, known.length + 1);
            if (known == null) {
                more = new int[] {1, 0};
            }
            more[more.length - 1] = i;
            places.put(expected.ids[i], more);
        }
        int highest = -1;
        for (int i = 0; i < found.count; i++) {
            long id = found.ids[i];
            int[] known = places.get(id);
            if (known == null) {
                foreign++;
                example("foreign", id, found, i);
                continue;
            }
            // Element 0 is where the next unused position stands.
            if (known[0] == known.length) {
                doubled++;
                example("doubled", id, found, i);
                continue;
            }
            int place = known[known[0]++];
            if (place < highest) {
                disordered++;
                example("out of order", id, found, i);
            }
            highest = Math.max(highest, place);
            if (expected.digests[place] != found.digests[i]) {
                changed++;
                example("changed", id, found, i);
            }
        }
        for (Map.Entry<Long, int[]> entry : places.entrySet()) {
            int[] known = entry.getValue();
            for (int next = known[0]; next < known.length; next++) {
                lost++;
                example("lost", entry.getKey(), expected, known[next]);
            }
        }
    }

    private void compareCompacted(Log expected, Log found) {
        Map<Long, Integer> places = new HashMap<>();
        long highest = -1;
        for (int i = 0; i < found.count; i++) {
            long id = found.ids[i];
            if (places.put(id, i) != null) {
                doubled++;
                example("doubled", id, found, i);
            } else if (id < highest) {
                disordered++;
                example("out of order", id, found, i);
            }
            highest = Math.max(highest, id);
        }
        for (int i = 0; i < expected.count; i++) {
            Integer place = places.get(expected.ids[i]);
            if (place == null) {
                lost++;
                example("lost", expected.ids[i], expected, i);
            } else if (expected.digests[i] != found.digests[place]) {
                changed++;
                example("changed", expected.ids[i], found, place);
            }
        }
        for (Map.Entry<String, Long> entry : found.last.entrySet()) {
            Long last = expected.last.get(entry.getKey());
            boolean right = last == null ? found.tombstones.contains(entry.getValue()) : last.equals(entry.getValue());
            if (!right) {
                lost++;
                example("last record of key " + entry.getKey() + " is not the source's " + last, entry.getValue(), found, -1);
            }
        }
    }

    private Log read(String bootstrap, String topic, String isolation) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("isolation.level", isolation);
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "none");
        properties.put("max.poll.records", "20000");
        Log log = new Log();
        TopicPartition at = new TopicPartition(topic, partition);
        List<TopicPartition> one = Collections.singletonList(at);
        try (KafkaConsumer<byte[], byte[]> all = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            all.assign(one);
            all.seekToBeginning(one);
            // The end of everything: an open transaction shows as a reader that stands still.
            properties.put("isolation.level", "read_uncommitted");
            long end;
            try (KafkaConsumer<byte[], byte[]> plain =
                    new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
                end = plain.endOffsets(one).get(at);
            }
            long deadline = System.currentTimeMillis() + 120_000;
            long position = all.position(at);
            while (position < end) {
                for (ConsumerRecord<byte[], byte[]> record : all.poll(Duration.ofMillis(500))) {
                    accept(log, record);
                }
                long now = all.position(at);
                if (now > position) {
                    deadline = System.currentTimeMillis() + 120_000;
                } else if (System.currentTimeMillis() > deadline) {
                    throw new IllegalStateException(at + " stands still at " + position + " of " + end);
                }
                position = now;
            }
        }
        return log;
    }

    private void accept(Log log, ConsumerRecord<byte[], byte[]> record) {
        Header header = record.headers().lastHeader("id");
        long id = header == null ? -1 : Long.parseLong(new String(header.value(), java.nio.charset.StandardCharsets.UTF_8));
        log.add(id, digest(record), record.offset());
        if (!Arrays.equals(record.key(), CampaignLoad.key(kind, id)) || !Arrays.equals(record.value(), CampaignLoad.value(kind, id))) {
            changed++;
            example("not the content of its id", id, log, log.count - 1);
        }
        if (kind.startsWith("compact")) {
            log.last.put(new String(record.key(), java.nio.charset.StandardCharsets.UTF_8), id);
            if (record.value() == null) {
                log.tombstones.add(id);
            }
        }
    }

    /** 64 bits over timestamp, key, value and headers. */
    private static long digest(ConsumerRecord<byte[], byte[]> record) {
        long digest = mix(record.timestamp(), 17);
        digest = mix(digest, field(record.key()));
        digest = mix(digest, field(record.value()));
        for (Header header : record.headers()) {
            digest = mix(digest, field(Oracle.utf8(header.key())));
            digest = mix(digest, field(header.value()));
        }
        return digest;
    }

    private static long field(byte[] bytes) {
        if (bytes == null) {
            return -1;
        }
        long digest = bytes.length;
        for (byte one : bytes) {
            digest = (digest ^ one) * 0x100000001b3L;
        }
        return digest;
    }

    private static long mix(long digest, long more) {
        long mixed = (digest * 31 + more) * 0xbf58476d1ce4e5b9L;
        return mixed ^ mixed >>> 31;
    }
}
