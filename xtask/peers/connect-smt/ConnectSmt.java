import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Cast;
import org.apache.kafka.connect.transforms.Flatten;
import org.apache.kafka.connect.transforms.ReplaceField;
import org.apache.kafka.connect.transforms.TimestampConverter;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Puts JSON messages through the transforms of Kafka Connect that do the part of the bench's rule which they can express: six fields, one of
 * them nested and one a date that is written anew. No other zone than UTC, and no filter. Only a yardstick for
 * `cargo xtask bench --suite etl`: messages are in memory and what comes out is dropped.
 *
 * Usage: ConnectSmt MESSAGES BYTES
 */
public final class ConnectSmt {
    private static final int WARM_UP_ROUNDS = 40;

    private final JsonConverter converter = new JsonConverter();
    private final List<Transformation<SourceRecord>> chain = List.of(
        configured(new ReplaceField.Value<>(), Map.of("include", "request_id,user,status,path,region,@timestamp")),
        configured(new Flatten.Value<>(), Map.of("delimiter", ".")),
        configured(
            new ReplaceField.Value<>(),
            Map.of(
                "include", "request_id,user.id,status,path,region,@timestamp",
                "renames", "request_id:id,user.id:user,@timestamp:time")),
        configured(new Cast.Value<>(), Map.of("spec", "status:int64")),
        configured(
            new TimestampConverter.Value<>(),
            Map.of("field", "time", "target.type", "Timestamp", "format", "yyyy-MM-dd'T'HH:mm:ss.SSSX")),
        configured(
            new TimestampConverter.Value<>(),
            Map.of("field", "time", "target.type", "string", "format", "yyyy-MM-dd HH:mm:ss")));

    private ConnectSmt() {
        converter.configure(Map.of("schemas.enable", "false"), false);
    }

    private static <T extends Transformation<SourceRecord>> T configured(T transform, Map<String, String> settings) {
        transform.configure(settings);
        return transform;
    }

    /** As Connect's own loop: to Connect's data, through each transform, and to bytes again. */
    private byte[] process(byte[] message) {
        SchemaAndValue data = converter.toConnectData("bench", message);
        SourceRecord made = new SourceRecord(null, null, "made", 0, null, null, data.schema(), data.value());
        for (Transformation<SourceRecord> transform : chain) {
            made = transform.apply(made);
        }
        return converter.fromConnectData(made.topic(), made.valueSchema(), made.value());
    }

    private static long cpuNanos() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    public static void main(String[] arguments) throws IOException {
        List<byte[]> messages = Files.readAllLines(Path.of(arguments[0])).stream().map(String::getBytes).toList();
        long wanted = Long.parseLong(arguments[1]);
        ConnectSmt smt = new ConnectSmt();
        // The compiler of the JVM is a matter of seconds; a connector runs for days.
        for (int round = 0; round < WARM_UP_ROUNDS; round++) {
            messages.forEach(smt::process);
        }
        long cpu = cpuNanos();
        long begin = System.nanoTime();
        long bytes = 0;
        long records = 0;
        long written = 0;
        while (bytes < wanted) {
            byte[] message = messages.get((int) (records % messages.size()));
            bytes += message.length;
            records++;
            written += smt.process(message).length > 0 ? 1 : 0;
        }
        double elapsed = (System.nanoTime() - begin) / 1e9;
        double seconds = (cpuNanos() - cpu) / 1e9;
        System.out.printf(
            "{\"records\":%d,\"bytes\":%d,\"written\":%d,\"cpu\":%.3f,\"elapsed\":%.3f}%n",
            records, bytes, written, seconds, elapsed);
        System.out.println(new String(smt.process(messages.get(0)), java.nio.charset.StandardCharsets.UTF_8));
    }
}
