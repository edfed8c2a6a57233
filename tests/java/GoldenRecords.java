import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.DefaultRecordBatch;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.BufferSupplier;

/**
 * Record batches by Apache Kafka's own classes: golden bytes for our reader, and a judge of our writer.
 *
 * <pre>
 * java -cp 'LIB/*' GoldenRecords.java write DIR   NAME.bin (bytes) and NAME.txt (what Kafka reads in them) for each case
 * java -cp 'LIB/*' GoldenRecords.java check DIR   reads each NAME.bin and compares with NAME.txt; exit code 1 on a difference
 * </pre>
 *
 * LIB holds kafka-clients and what it depends on. "write" needs kafka-clients 3.9.1, the last line of releases that
 * writes message formats v0 and v1; "check" also runs on 4.x.
 */
public class GoldenRecords {
    private static final long BASE = 1_000_000_000_000L;
    private static final long TIME = 1_700_000_000_000L;

    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            System.err.println("usage: GoldenRecords write|check DIR");
            System.exit(2);
        }
        Path dir = Paths.get(args[1]);
        switch (args[0]) {
            case "write" -> write(dir);
            case "check" -> System.exit(check(dir) ? 0 : 1);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    // ---- cases -----------------------------------------------------------------------------------------------------

    private static void write(Path dir) throws Exception {
        Files.createDirectories(dir);
        for (CompressionType codec : CompressionType.values()) {
            for (byte magic = 0; magic <= 2; magic++) {
                if (magic < 2 && codec == CompressionType.ZSTD) continue;
                put(dir, "v" + magic + "-" + codec.name, odd(magic, codec));
                if (magic > 0) put(dir, "v" + magic + "-" + codec.name + "-append-time", appendTime(magic, codec));
            }
            if (codec != CompressionType.NONE) {
                put(dir, "v2-" + codec.name + "-blocks", blocks((byte) 2, codec));
                if (codec != CompressionType.ZSTD) put(dir, "v1-" + codec.name + "-blocks", blocks((byte) 1, codec));
            }
        }
        put(dir, "v0-lz4-blocks", blocks((byte) 0, CompressionType.LZ4));
        put(dir, "v2-transactional", transactional());
        put(dir, "v2-commit", marker(ControlRecordType.COMMIT));
        put(dir, "v2-abort", marker(ControlRecordType.ABORT));
        put(dir, "v2-compacted-none", compacted(CompressionType.NONE, false));
        put(dir, "v2-compacted-lz4", compacted(CompressionType.LZ4, false));
        put(dir, "v2-compacted-empty", compacted(CompressionType.ZSTD, true));
        put(dir, "v2-delete-horizon", deleteHorizon());
        put(dir, "v2-sequence-wrap", sequenceWrap());
        put(dir, "v2-extremes", extremes());
    }

    /** Null and empty, gaps, timestamps out of order; with v2 also headers: duplicate keys, null and empty values. */
    private static ByteBuffer odd(byte magic, CompressionType codec) {
        MemoryRecordsBuilder builder = builder(magic, codec, TimestampType.CREATE_TIME, BASE, RecordBatch.NO_TIMESTAMP);
        append(builder, magic, BASE, TIME + 5, null, null);
        append(builder, magic, BASE + 1, TIME, bytes(""), bytes(""), header("", null));
        append(builder, magic, BASE + 2, TIME + 1000, bytes("key"), null, header("a", "1"), header("b", ""), header("a", "2"), header("a", "1"));
        append(builder, magic, BASE + 7, TIME - 86_400_000L, null, bytes("value"), header("grüße", "€"));
        append(builder, magic, BASE + 300, TIME + 7, bytes("key"), bytes("x".repeat(200)), header("long", "y".repeat(130)));
        return builder.build().buffer();
    }

    private static ByteBuffer appendTime(byte magic, CompressionType codec) {
        MemoryRecordsBuilder builder = builder(magic, codec, TimestampType.LOG_APPEND_TIME, BASE, TIME + 9999);
        append(builder, magic, BASE, TIME, bytes("a"), bytes("1"));
        append(builder, magic, BASE + 1, TIME + 1, bytes("b"), bytes("2"));
        return builder.build().buffer();
    }

    /** More than one block of each codec's framing: 400 records of 500 bytes. */
    private static ByteBuffer blocks(byte magic, CompressionType codec) {
        MemoryRecordsBuilder builder = builder(magic, codec, TimestampType.CREATE_TIME, BASE, RecordBatch.NO_TIMESTAMP);
        for (int i = 0; i < 400; i++) {
            append(builder, magic, BASE + i, TIME + i, bytes("k" + i), bytes(("abcdefgh" + i % 7).repeat(50)));
        }
        return builder.build().buffer();
    }

    private static ByteBuffer transactional() {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), (byte) 2, Compression.NONE, TimestampType.CREATE_TIME,
            BASE, RecordBatch.NO_TIMESTAMP, 0x0102030405060708L, (short) 0x1112, 0x21222324, true, 77);
        append(builder, (byte) 2, BASE, TIME, bytes("k"), bytes("v"));
        append(builder, (byte) 2, BASE + 1, TIME, bytes("k"), bytes("w"));
        return builder.build().buffer();
    }

    private static ByteBuffer marker(ControlRecordType type) {
        ByteBuffer buffer = ByteBuffer.allocate(1024);
        MemoryRecords.writeEndTransactionalMarker(buffer, BASE, TIME, 3, 4711L, (short) 5, new EndTransactionMarker(type, 42));
        buffer.flip();
        return buffer;
    }

    /** Through the log cleaner's own filter: the first, a middle and the last record are gone, or all of them. */
    private static ByteBuffer compacted(CompressionType codec, boolean empty) throws Exception {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(4096), (byte) 2, Compression.of(codec).build(),
            TimestampType.CREATE_TIME, BASE, RecordBatch.NO_TIMESTAMP, 99L, (short) 1, 500, false, 6);
        for (int i = 0; i < 10; i++) append(builder, (byte) 2, BASE + i, TIME + i, bytes("k" + i), bytes("v" + i));
        return filter(builder.build(), !empty, record -> !empty && record.offset() % 10 != 0 && record.offset() % 10 != 4 && record.offset() % 10 != 9);
    }

    /** A tombstone survives its first cleaning and dates the batch's deletion (KIP-534). */
    private static ByteBuffer deleteHorizon() throws Exception {
        MemoryRecordsBuilder builder = builder((byte) 2, CompressionType.NONE, TimestampType.CREATE_TIME, BASE, RecordBatch.NO_TIMESTAMP);
        append(builder, (byte) 2, BASE, TIME, bytes("a"), bytes("gone"));
        append(builder, (byte) 2, BASE + 1, TIME + 1, bytes("a"), null);
        append(builder, (byte) 2, BASE + 2, TIME + 2, bytes("b"), bytes("stays"));
        return filter(builder.build(), true, record -> record.offset() != BASE);
    }

    private static ByteBuffer sequenceWrap() {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), (byte) 2, Compression.NONE, TimestampType.CREATE_TIME,
            BASE, RecordBatch.NO_TIMESTAMP, 12L, Short.MAX_VALUE, Integer.MAX_VALUE - 1, false, 0);
        for (int i = 0; i < 4; i++) append(builder, (byte) 2, BASE + i, TIME, null, bytes("v"));
        return builder.build().buffer();
    }

    /** The ends of the ranges: offset 0 with the largest delta, timestamps -1, 0 and the largest. */
    private static ByteBuffer extremes() {
        MemoryRecordsBuilder builder = builder((byte) 2, CompressionType.NONE, TimestampType.CREATE_TIME, 0, RecordBatch.NO_TIMESTAMP);
        append(builder, (byte) 2, 0, -1, bytes("minus one"), null);
        append(builder, (byte) 2, 1, Long.MAX_VALUE, bytes("largest"), null);
        append(builder, (byte) 2, Integer.MAX_VALUE, 0, bytes("zero"), null);
        return builder.build().buffer();
    }

    // ---- building --------------------------------------------------------------------------------------------------

    private static MemoryRecordsBuilder builder(byte magic, CompressionType codec, TimestampType type, long base, long appendTime) {
        return MemoryRecords.builder(ByteBuffer.allocate(4096), magic, Compression.of(codec).build(), type, base, appendTime);
    }

    private static void append(MemoryRecordsBuilder builder, byte magic, long offset, long timestamp, byte[] key, byte[] value, Header... headers) {
        builder.appendWithOffset(offset, timestamp, key, value, magic < 2 ? Record.EMPTY_HEADERS : headers);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static Header header(String key, String value) {
        return new RecordHeader(key, value == null ? null : bytes(value));
    }

    private interface Keep {
        boolean keep(Record record);
    }

    private static ByteBuffer filter(MemoryRecords records, boolean deleteEmpty, Keep keep) throws Exception {
        MemoryRecords.RecordFilter filter = new MemoryRecords.RecordFilter(TIME + 1_000_000, 86_400_000) {
            @Override
            protected BatchRetentionResult checkBatchRetention(RecordBatch batch) {
                return new BatchRetentionResult(deleteEmpty ? BatchRetention.DELETE_EMPTY : BatchRetention.RETAIN_EMPTY, false);
            }

            @Override
            protected boolean shouldRetainRecord(RecordBatch batch, Record record) {
                return keep.keep(record);
            }
        };
        // The method lost two parameters in 4.x.
        ByteBuffer out = ByteBuffer.allocate(8192);
        for (Method method : MemoryRecords.class.getMethods()) {
            if (!method.getName().equals("filterTo")) continue;
            if (method.getParameterCount() == 3) {
                method.invoke(records, filter, out, BufferSupplier.NO_CACHING);
            } else {
                method.invoke(records, new TopicPartition("t", 0), filter, out, Integer.MAX_VALUE, BufferSupplier.NO_CACHING);
            }
        }
        out.flip();
        return out;
    }

    private static void put(Path dir, String name, ByteBuffer buffer) throws IOException {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        Files.write(dir.resolve(name + ".bin"), bytes);
        Files.writeString(dir.resolve(name + ".txt"), describe(bytes));
    }

    // ---- reading ---------------------------------------------------------------------------------------------------

    private static boolean check(Path dir) throws IOException {
        List<Path> files;
        try (Stream<Path> stream = Files.list(dir)) {
            files = stream.filter(path -> path.toString().endsWith(".bin")).sorted().collect(Collectors.toList());
        }
        boolean same = !files.isEmpty();
        for (Path file : files) {
            String expected = Files.readString(Paths.get(file.toString().replaceAll("\\.bin$", ".txt")));
            String found;
            try {
                found = describe(Files.readAllBytes(file));
            } catch (RuntimeException error) {
                found = "error " + error + "\n";
            }
            boolean equal = found.equals(expected);
            same &= equal;
            System.out.println((equal ? "same " : "DIFFERENT ") + file.getFileName());
            if (!equal) System.out.println("--- expected\n" + expected + "--- found\n" + found);
        }
        return same;
    }

    /** Batches of more records are described by their first and last one and a checksum of all lines. */
    private static final int LINES_MAX = 20;

    /** One line for each batch and each record, checksums verified. */
    private static String describe(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
        for (MutableRecordBatch batch : records.batches()) {
            batch.ensureValid();
            out.append("batch magic=").append(batch.magic());
            if (batch.magic() == 2) out.append(" base=").append(batch.baseOffset());
            out.append(" last=").append(batch.lastOffset()).append(" codec=").append(batch.compressionType().name);
            out.append(" time=").append(batch.timestampType() == TimestampType.LOG_APPEND_TIME ? "append" : "create");
            out.append(" max=").append(batch.maxTimestamp());
            if (batch.magic() == 2) {
                out.append(" base_timestamp=").append(((DefaultRecordBatch) batch).baseTimestamp());
                out.append(" leader_epoch=").append(batch.partitionLeaderEpoch());
                out.append(" producer=").append(batch.producerId()).append('/').append(batch.producerEpoch()).append('/').append(batch.baseSequence());
                out.append(" count=").append(batch.countOrNull());
                if (batch.isTransactional()) out.append(" transactional");
                if (batch.isControlBatch()) out.append(" control");
                if (batch.deleteHorizonMs().isPresent()) out.append(" delete_horizon=").append(batch.deleteHorizonMs().getAsLong());
            }
            out.append('\n');
            List<String> lines = new ArrayList<>();
            for (Record record : batch) {
                record.ensureValid();
                StringBuilder line = new StringBuilder("record ");
                line.append(record.offset()).append(' ').append(record.timestamp());
                line.append(" key=").append(text(record.hasKey() ? record.key() : null));
                line.append(" value=").append(text(record.hasValue() ? record.value() : null));
                for (Header header : record.headers()) {
                    line.append(" header ").append(text(ByteBuffer.wrap(bytes(header.key())))).append('=');
                    line.append(text(header.value() == null ? null : ByteBuffer.wrap(header.value())));
                }
                if (batch.isControlBatch()) {
                    EndTransactionMarker marker = EndTransactionMarker.deserialize(record);
                    line.append(" marker ").append(marker.controlType().name().toLowerCase()).append(' ').append(marker.coordinatorEpoch());
                }
                lines.add(line.append('\n').toString());
            }
            if (lines.size() > LINES_MAX) {
                String all = text(ByteBuffer.wrap(bytes(String.join("", lines))));
                lines = List.of(lines.get(0), lines.get(lines.size() - 1), "records " + lines.size() + " " + all + "\n");
            }
            lines.forEach(out::append);
        }
        return out.toString();
    }

    private static String text(ByteBuffer buffer) {
        if (buffer == null) return "null";
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        if (bytes.length <= 64) return "x" + HexFormat.of().formatHex(bytes);
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        return bytes.length + ":" + HexFormat.of().toHexDigits((int) crc.getValue());
    }
}
