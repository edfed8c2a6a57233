import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** Records that depend on the arguments only: the same command gives the same records in any JVM. */
final class Dataset {
    final String kind;
    final long first;
    final long count;
    private final long timestamp;
    private final int valueBytes;
    private final long keys;
    private final boolean headers;
    private final byte[] text;

    Dataset(Arguments a) {
        kind = a.text("kind", "mixed");
        first = a.big("first", 0);
        count = a.big("count", 100);
        timestamp = a.big("timestamp", 1_700_000_000_000L);
        valueBytes = a.number("value_bytes", 100);
        keys = a.big("keys", 10);
        headers = !a.text("headers", "yes").equals("no");
        text = text(a.big("seed", 1), Math.max(1 << 20, 2 * valueBytes), a.text("content", "words"));
    }

    /** Words compress, random bytes do not. */
    private static byte[] text(long seed, int length, String content) {
        Random random = new Random(seed);
        byte[] bytes = new byte[length];
        if (content.equals("random")) {
            random.nextBytes(bytes);
            return bytes;
        }
        byte[][] words = new byte[500][];
        for (int i = 0; i < words.length; i++) {
            words[i] = new byte[2 + random.nextInt(9)];
            for (int j = 0; j < words[i].length; j++) {
                words[i][j] = (byte) ('a' + random.nextInt(26));
            }
        }
        for (int at = 0; at < length; ) {
            byte[] word = words[random.nextInt(words.length)];
            int part = Math.min(word.length, length - at);
            System.arraycopy(word, 0, bytes, at, part);
            at += part;
            if (at < length) {
                bytes[at++] = ' ';
            }
        }
        return bytes;
    }

    ProducerRecord<byte[], byte[]> record(String topic, int partition, long index) {
        List<Header> list = new ArrayList<>();
        if (headers && kind.equals("mixed")) {
            switch ((int) (index % 5)) {
                case 1: list.add(new RecordHeader("trace", Oracle.utf8("t" + index))); break;
                case 2:
                    list.add(new RecordHeader("h", Oracle.utf8("a")));
                    list.add(new RecordHeader("h", Oracle.utf8("b")));
                    list.add(new RecordHeader("h", (byte[]) null));
                    list.add(new RecordHeader("h", Oracle.utf8("a")));
                    break;
                case 3: list.add(new RecordHeader("", new byte[0])); break;
                case 4: list.add(new RecordHeader("schl\u00fcssel\u6f22", new byte[] {0, -1, 10})); break;
                default: break;
            }
        }
        return new ProducerRecord<>(topic, partition, time(index), key(index), value(index), list);
    }

    private Long time(long index) {
        if (timestamp < 0) {
            return null;
        }
        // Not monotonic, as in life.
        return kind.equals("mixed") ? timestamp + index * 13 - index % 3 * 40 : timestamp + index;
    }

    private byte[] key(long index) {
        switch (kind) {
            // Some keys come once: they survive compaction and leave gaps between them.
            case "keyed": return Oracle.utf8(index % 13 == 6 ? "once-" + index : "key-" + index % keys);
            case "mixed":
                if (index % 4 == 0) {
                    return null;
                }
                return index % 4 == 1 ? new byte[0] : Oracle.utf8("key-" + index);
            default: return Oracle.utf8("key-" + index);
        }
    }

    private byte[] value(long index) {
        if (kind.equals("keyed") && index % 11 == 10) {
            return null;
        }
        if (kind.equals("mixed")) {
            if (index % 7 == 3) {
                return null;
            }
            if (index % 7 == 5) {
                return new byte[0];
            }
        }
        byte[] value = new byte[valueBytes];
        int from = (int) (index * 7919 % (text.length - valueBytes));
        System.arraycopy(text, from, value, 0, valueBytes);
        byte[] head = Oracle.utf8(index + ":");
        System.arraycopy(head, 0, value, 0, Math.min(head.length, valueBytes));
        return value;
    }
}
