import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.net.Socket;
import java.util.zip.CRC32C;
import org.apache.kafka.common.Node;

/**
 * Writes what the Java producer cannot: one v2 batch whose header keys are not UTF-8, by a hand-made Produce v3 request.
 */
final class RawBatch {
    private RawBatch() {}

    static void send(Arguments a, Node leader) throws Exception {
        String topic = a.text("topic");
        int partition = a.number("partition", 0);
        int count = a.number("count", 10);
        long timestamp = a.big("timestamp", 1_700_000_000_000L);
        ByteArrayOutputStream records = new ByteArrayOutputStream();
        for (int i = 0; i < count; i++) {
            ByteArrayOutputStream record = new ByteArrayOutputStream();
            record.write(0);
            varint(record, i); // timestamp delta
            varint(record, i); // offset delta
            bytes(record, Oracle.utf8("raw-" + i));
            bytes(record, i % 3 == 0 ? null : Oracle.utf8("value-" + i));
            varint(record, 3);
            bytes(record, new byte[] {(byte) 0xff, (byte) 0xfe, (byte) i});
            bytes(record, Oracle.utf8("x"));
            bytes(record, new byte[] {(byte) 0xc3, 0x28});
            bytes(record, null);
            bytes(record, new byte[] {(byte) 0xff, (byte) 0xfe, (byte) i});
            bytes(record, new byte[0]);
            varint(records, record.size());
            record.writeTo(records);
        }
        ByteArrayOutputStream tail = new ByteArrayOutputStream();
        DataOutputStream t = new DataOutputStream(tail);
        t.writeShort(0); // attributes
        t.writeInt(count - 1);
        t.writeLong(timestamp);
        t.writeLong(timestamp + count - 1);
        t.writeLong(-1); // producer id
        t.writeShort(-1);
        t.writeInt(-1);
        t.writeInt(count);
        records.writeTo(t);
        CRC32C crc = new CRC32C();
        crc.update(tail.toByteArray());
        ByteArrayOutputStream request = new ByteArrayOutputStream();
        DataOutputStream r = new DataOutputStream(request);
        r.writeShort(0); // Produce
        r.writeShort(3);
        r.writeInt(1);
        r.writeShort(-1); // no client id
        r.writeShort(-1); // no transactional id
        r.writeShort(-1); // acks
        r.writeInt(30_000);
        r.writeInt(1);
        byte[] name = Oracle.utf8(topic);
        r.writeShort(name.length);
        r.write(name);
        r.writeInt(1);
        r.writeInt(partition);
        r.writeInt(12 + 9 + tail.size());
        r.writeLong(0); // base offset
        r.writeInt(9 + tail.size());
        r.writeInt(-1); // leader epoch
        r.writeByte(2);
        r.writeInt((int) crc.getValue());
        tail.writeTo(r);
        try (Socket socket = new Socket(leader.host(), leader.port())) {
            DataOutputStream send = new DataOutputStream(socket.getOutputStream());
            send.writeInt(request.size());
            request.writeTo(send);
            send.flush();
            DataInputStream receive = new DataInputStream(socket.getInputStream());
            receive.readInt(); // length
            receive.readInt(); // correlation id
            receive.readInt(); // one topic
            receive.skipBytes(receive.readShort());
            receive.readInt(); // one partition
            receive.readInt();
            int error = receive.readShort();
            if (error != 0) {
                throw new IllegalStateException("produce answered error code " + error);
            }
        }
    }

    private static void varint(ByteArrayOutputStream out, int value) {
        int rest = value << 1 ^ value >> 31;
        while ((rest & ~0x7f) != 0) {
            out.write(rest & 0x7f | 0x80);
            rest >>>= 7;
        }
        out.write(rest);
    }

    private static void bytes(ByteArrayOutputStream out, byte[] bytes) {
        varint(out, bytes == null ? -1 : bytes.length);
        if (bytes != null) {
            out.write(bytes, 0, bytes.length);
        }
    }
}
