import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Copies one partition with one mistake in the middle: what the judge must find. */
final class CampaignForge {
    private CampaignForge() {}

    /** Arguments: {@code topic}, {@code to}, {@code fault} (lose, double, swap, change, retime, foreign, none). */
    static void run(String bootstrap, Arguments a) throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (ConsumerRecord<byte[], byte[]> record : read(bootstrap, a.text("topic"))) {
            records.add(new ProducerRecord<>(a.text("to"), 0, record.timestamp(), record.key(), record.value(), record.headers()));
        }
        forge(records, records.size() / 2, a.text("fault"));
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (ProducerRecord<byte[], byte[]> record : records) {
                producer.send(record);
            }
        }
    }

    private static void forge(List<ProducerRecord<byte[], byte[]>> records, int at, String fault) {
        ProducerRecord<byte[], byte[]> one = records.get(at);
        switch (fault) {
            case "none": break;
            case "lose": records.remove(at); break;
            case "double": records.add(at, one); break;
            case "swap": records.set(at, records.set(at + 1, one)); break;
            case "change":
                byte[] value = one.value() == null ? new byte[1] : one.value().clone();
                value[value.length - 1] ^= 1;
                records.set(at, new ProducerRecord<>(one.topic(), 0, one.timestamp(), one.key(), value, one.headers()));
                break;
            case "retime":
                records.set(at, new ProducerRecord<>(one.topic(), 0, one.timestamp() + 1, one.key(), one.value(), one.headers()));
                break;
            case "foreign":
                long id = 1_000_000_000;
                Headers headers = new RecordHeaders();
                headers.add("id", Oracle.utf8(Long.toString(id)));
                records.add(at, new ProducerRecord<>(one.topic(), 0, one.timestamp(), CampaignLoad.key("now", id),
                        CampaignLoad.value("now", id), headers));
                break;
            default: throw new IllegalArgumentException("unknown fault " + fault);
        }
    }

    private static List<ConsumerRecord<byte[], byte[]>> read(String bootstrap, String topic) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("auto.offset.reset", "none");
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        List<TopicPartition> one = List.of(new TopicPartition(topic, 0));
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(one);
            consumer.seekToBeginning(one);
            long end = consumer.endOffsets(one).get(one.get(0));
            while (consumer.position(one.get(0)) < end) {
                consumer.poll(Duration.ofMillis(200)).forEach(records::add);
            }
        }
        return records;
    }
}
