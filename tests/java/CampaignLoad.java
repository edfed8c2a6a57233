import java.util.List;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes one topic without end until told to stop, whatever happens to the brokers. Every record has an id of its own, rising in
 * the order of writing; key and value follow from it.
 */
final class CampaignLoad extends Thread {
    private static final long OLD = 1_000_000_000_000L;
    private static final int COMPACTED_KEYS = 40;

    private final Properties properties = new Properties();
    private final String topic;
    private final int partitions;
    private final String kind;
    private final long rate;
    private final Random random;
    private final AtomicLong failed = new AtomicLong();
    private volatile boolean broken;
    private volatile boolean ended;
    private volatile long next;
    private long committed;
    private long aborted;
    private long renewed;

    CampaignLoad(String bootstrap, Arguments a) {
        super("load " + a.text("topic"));
        topic = a.text("topic");
        partitions = a.number("partitions", 1);
        kind = a.text("kind");
        rate = a.big("rate", 100);
        random = new Random(a.big("seed", 1));
        properties.put("bootstrap.servers", bootstrap);
        properties.put("key.serializer", ByteArraySerializer.class.getName());
        properties.put("value.serializer", ByteArraySerializer.class.getName());
        properties.put("compression.type", a.text("codec"));
        properties.put("acks", "all");
        properties.put("linger.ms", "5");
        properties.put("request.timeout.ms", "5000");
        properties.put("delivery.timeout.ms", "45000");
        properties.put("metadata.max.age.ms", "5000");
        if (kind.equals("txn")) {
            properties.put("transactional.id", "load-" + topic);
            properties.put("transaction.timeout.ms", "20000");
        }
        setDaemon(true);
        start();
    }

    long sent() {
        return next;
    }

    void end() {
        ended = true;
    }

    String[] summary() {
        return new String[] {topic, Long.toString(next), failed.toString(), Long.toString(committed), Long.toString(aborted),
            Long.toString(renewed)};
    }

    /** The key of a record; few of them where the log is compacted. */
    static byte[] key(String kind, long id) {
        return Oracle.utf8(kind.startsWith("compact") ? "key-" + mix(id) % COMPACTED_KEYS : "key-" + id);
    }

    /** The value: the id, a colon, and bytes that follow from the id. Some are null where the log is compacted. */
    static byte[] value(String kind, long id) {
        long mixed = mix(id);
        if (kind.startsWith("compact") && mixed % 17 == 3) {
            return null;
        }
        int length = 24 + (int) (mixed % 7 == 0 ? mixed % 4000 : mixed % 300);
        byte[] value = new byte[length];
        byte[] head = Oracle.utf8(id + ":");
        for (int i = 0; i < length; i++) {
            value[i] = i < head.length ? head[i] : (byte) ('a' + (mixed >>> i % 40) % 23);
        }
        return value;
    }

    private static long mix(long id) {
        long mixed = (id + 0x9e3779b97f4a7c15L) * 0xbf58476d1ce4e5b9L;
        return (mixed ^ mixed >>> 29) >>> 2;
    }

    private ProducerRecord<byte[], byte[]> record(long id) {
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, (int) (id % partitions),
                kind.endsWith("old") ? OLD + id : Long.valueOf(System.currentTimeMillis()), key(kind, id), value(kind, id));
        record.headers().add("id", Oracle.utf8(Long.toString(id)));
        return record;
    }

    @Override
    public void run() {
        while (!ended) {
            broken = false;
            try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties)) {
                if (kind.equals("txn")) {
                    retry(producer::initTransactions);
                }
                while (!ended && !broken) {
                    burst(producer);
                }
                producer.flush();
            } catch (KafkaException | InterruptedException error) {
                System.err.println(topic + ": producer renewed after " + error);
            }
            renewed++;
        }
    }

    private void burst(KafkaProducer<byte[], byte[]> producer) throws InterruptedException {
        long count = 1 + random.nextInt((int) Math.max(1, rate / 5));
        Thread.sleep(count * 1000 / rate);
        if (!kind.equals("txn")) {
            write(producer, count);
            return;
        }
        producer.beginTransaction();
        boolean commit = random.nextInt(10) >= 3;
        try {
            write(producer, count);
            if (commit) {
                retry(producer::commitTransaction);
                committed++;
                return;
            }
        } catch (KafkaException error) {
            System.err.println(topic + ": transaction given up after " + error);
        }
        retry(producer::abortTransaction);
        aborted++;
    }

    private void write(KafkaProducer<byte[], byte[]> producer, long count) {
        for (long end = next + count; next < end && !broken; ) {
            producer.send(record(next), (metadata, error) -> {
                if (error != null) {
                    failed.incrementAndGet();
                    broken |= !kind.equals("txn");
                }
            });
            next++;
        }
    }

    /** A timeout of these calls means: ask again. */
    private static void retry(Runnable call) {
        while (true) {
            try {
                call.run();
                return;
            } catch (TimeoutException again) {
                System.err.println("again after " + again);
            }
        }
    }
}
