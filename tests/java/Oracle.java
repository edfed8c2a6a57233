import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The independent client of the integration tests: Kafka's own Java client, driven by lines.
 *
 * <p>One JVM serves one cluster. A command is one line, {@code verb name=value name=value}, values percent-encoded. The
 * answer is any number of lines of tab-separated fields, then {@code ok} or {@code error MESSAGE}.
 *
 * <p>Compiles against the clients of 0.11 to 4.2; what differs between them is called by reflection.
 */
public class Oracle {
    private static final long DEADLINE_MS = 120_000;

    private final Properties common;
    private final PrintStream out;
    private final AdminClient admin;
    private final Map<String, KafkaProducer<byte[], byte[]>> open = new HashMap<>();
    /** Ends the member that is held in a group. */
    private final Map<String, java.util.concurrent.Callable<Void>> holders = new HashMap<>();
    /** The last offset that each open transaction has written, by partition. */
    private final Map<String, Map<TopicPartition, Long>> written = new HashMap<>();

    private Oracle(Properties common, PrintStream out) {
        this.common = common;
        this.out = out;
        this.admin = AdminClient.create(common);
    }

    public static void main(String[] args) throws Exception {
        // Loggers print on standard output; the protocol keeps it for itself.
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        System.setOut(System.err);
        Properties common = new Properties();
        for (String argument : args) {
            int at = argument.indexOf('=');
            common.put(argument.substring(0, at), argument.substring(at + 1));
        }
        Oracle oracle = new Oracle(common, out);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                oracle.run(line);
                out.println("ok");
            } catch (Throwable error) {
                error.printStackTrace();
                out.println("error " + oneLine(cause(error)));
            }
            out.flush();
        }
        // Open transactions stay open: their producers are dropped, not closed.
        Runtime.getRuntime().halt(0);
    }

    private static Throwable cause(Throwable error) {
        while ((error instanceof ExecutionException || error instanceof InvocationTargetException)
                && error.getCause() != null) {
            error = error.getCause();
        }
        return error;
    }

    private static String oneLine(Throwable error) {
        return error.toString().replaceAll("\\s+", " ");
    }

    private void run(String line) throws Exception {
        String[] words = line.trim().split(" ");
        Arguments a = new Arguments(words);
        switch (words[0]) {
            case "create": create(a); break;
            case "delete": admin.deleteTopics(Collections.singleton(a.text("topic"))).all().get(); break;
            case "topics": for (String name : new TreeMap<>(topics()).keySet()) print(encode(name)); break;
            case "grow": grow(a); break;
            case "configs": configs(a); break;
            case "alter": alter(a.text("topic"), a.starting("config."), a.list("unset")); break;
            case "produce": produce(a); break;
            case "end": end(a.text("txn"), a.text("how")); break;
            case "raw": RawBatch.send(a, leader(a.text("topic"), a.number("partition", 0))); break;
            case "dump": dump(a); break;
            case "offsets": offsets(a); break;
            case "compact": compact(a); break;
            case "delete-records": deleteRecords(a); break;
            case "commit": commit(a); break;
            case "committed": committed(a); break;
            case "join": join(a); break;
            case "groups": groups(); break;
            case "consume": consume(a); break;
            case "hold": hold(a); break;
            case "release": release(a.text("group")); break;
            case "acl": acl(a); break;
            default: throw new IllegalArgumentException("unknown verb " + words[0]);
        }
    }

    // ---- topics -----------------------------------------------------------------------------------------------

    private void create(Arguments a) throws Exception {
        NewTopic topic;
        if (a.has("brokers")) {
            List<Integer> brokers = new ArrayList<>();
            for (String id : a.list("brokers")) {
                brokers.add(Integer.valueOf(id));
            }
            topic = new NewTopic(a.text("topic"), Collections.singletonMap(0, brokers));
        } else {
            topic = new NewTopic(a.text("topic"), a.number("partitions", 1), (short) a.number("replicas", 1));
        }
        topic.configs(a.starting("config."));
        admin.createTopics(Collections.singleton(topic)).all().get();
        awaitPartitions(a.text("topic"), a.number("partitions", 1));
    }

    private void awaitPartitions(String topic, int count) throws Exception {
        long deadline = System.currentTimeMillis() + DEADLINE_MS;
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("read_uncommitted", null)) {
            while (true) {
                List<PartitionInfo> found = topics(consumer).getOrDefault(topic, Collections.emptyList());
                if (found.size() == count && found.stream().allMatch(p -> p.leader() != null && p.leader().id() >= 0)) {
                    return;
                }
                late(deadline, topic + " does not get its " + count + " partitions");
            }
        }
    }

    private Map<String, List<PartitionInfo>> topics() {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("read_uncommitted", null)) {
            return topics(consumer);
        }
    }

    private static Map<String, List<PartitionInfo>> topics(Consumer<?, ?> consumer) {
        return consumer.listTopics();
    }

    private void grow(Arguments a) throws Exception {
        Class<?> type = Class.forName("org.apache.kafka.clients.admin.NewPartitions");
        Object count = type.getMethod("increaseTo", int.class).invoke(null, a.number("partitions", 1));
        Object result = call(admin, "createPartitions", Collections.singletonMap(a.text("topic"), count));
        ((Future<?>) call(result, "all")).get();
        awaitPartitions(a.text("topic"), a.number("partitions", 1));
    }

    private void configs(Arguments a) throws Exception {
        for (ConfigEntry entry : describe(a.text("topic")).entries()) {
            String source;
            try {
                source = String.valueOf(call(entry, "source"));
            } catch (NoSuchMethodException old) {
                source = entry.isDefault() ? "DEFAULT_CONFIG" : "DYNAMIC_TOPIC_CONFIG";
            }
            print(encode(entry.name()), entry.value() == null ? "-" : "=" + encode(entry.value()), source);
        }
    }

    private Config describe(String topic) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return admin.describeConfigs(Collections.singleton(resource)).all().get().get(resource);
    }

    private void alter(String topic, Map<String, String> set, List<String> unset) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Object result;
        try {
            Class<?> operation = Class.forName("org.apache.kafka.clients.admin.AlterConfigOp");
            Class<?> type = Class.forName("org.apache.kafka.clients.admin.AlterConfigOp$OpType");
            List<Object> operations = new ArrayList<>();
            for (Map.Entry<String, String> entry : set.entrySet()) {
                operations.add(operation.getConstructors()[0].newInstance(
                        new ConfigEntry(entry.getKey(), entry.getValue()), type.getField("SET").get(null)));
            }
            for (String name : unset) {
                operations.add(operation.getConstructors()[0].newInstance(
                        new ConfigEntry(name, ""), type.getField("DELETE").get(null)));
            }
            result = call(admin, "incrementalAlterConfigs", Collections.singletonMap(resource, operations));
        } catch (ClassNotFoundException old) {
            Map<String, String> all = new TreeMap<>();
            for (ConfigEntry entry : describe(topic).entries()) {
                if (!entry.isDefault()) {
                    all.put(entry.name(), entry.value());
                }
            }
            all.putAll(set);
            all.keySet().removeAll(unset);
            List<ConfigEntry> entries = new ArrayList<>();
            all.forEach((name, value) -> entries.add(new ConfigEntry(name, value)));
            result = call(admin, "alterConfigs", Collections.singletonMap(resource, new Config(entries)));
        }
        ((Future<?>) call(result, "all")).get();
    }

    private void deleteRecords(Arguments a) throws Exception {
        Class<?> type = Class.forName("org.apache.kafka.clients.admin.RecordsToDelete");
        Object before = type.getMethod("beforeOffset", long.class).invoke(null, a.big("offset", 0));
        TopicPartition partition = new TopicPartition(a.text("topic"), a.number("partition", 0));
        ((Future<?>) call(call(admin, "deleteRecords", Collections.singletonMap(partition, before)), "all")).get();
    }

    private void acl(Arguments a) throws Exception {
        AccessControlEntry entry = new AccessControlEntry(a.text("principal"), "*",
                AclOperation.fromString(a.text("operation")), AclPermissionType.fromString(a.text("permission", "ALLOW")));
        ResourceType type = ResourceType.fromString(a.text("resource"));
        String name = a.text("name");
        Object resource;
        Class<?> holder;
        try {
            holder = Class.forName("org.apache.kafka.common.resource.ResourcePattern");
            Class<?> pattern = Class.forName("org.apache.kafka.common.resource.PatternType");
            Object how = pattern.getMethod("fromString", String.class).invoke(null, a.text("pattern", "LITERAL"));
            resource = holder.getConstructor(ResourceType.class, String.class, pattern).newInstance(type, name, how);
        } catch (ClassNotFoundException old) {
            holder = Class.forName("org.apache.kafka.common.resource.Resource");
            resource = holder.getConstructor(ResourceType.class, String.class).newInstance(type, name);
        }
        AclBinding binding = AclBinding.class.getConstructor(holder, AccessControlEntry.class).newInstance(resource, entry);
        admin.createAcls(Collections.singleton(binding)).all().get();
    }

    // ---- writing ----------------------------------------------------------------------------------------------

    private void produce(Arguments a) throws Exception {
        String transaction = a.text("txn", null);
        Properties properties = clientProperties(a);
        properties.put("compression.type", a.text("codec", "none"));
        properties.put("batch.size", a.text("batch", "16384"));
        properties.put("linger.ms", a.text("linger", "5"));
        properties.put("acks", "all");
        properties.put("max.request.size", "20000000");
        properties.put("buffer.memory", "67108864");
        properties.put("key.serializer", ByteArraySerializer.class.getName());
        properties.put("value.serializer", ByteArraySerializer.class.getName());
        KafkaProducer<byte[], byte[]> producer;
        if (transaction != null && open.containsKey(transaction)) {
            producer = open.get(transaction);
        } else {
            if (transaction != null) {
                properties.put("transactional.id", transaction);
                properties.put("transaction.timeout.ms", a.text("txn_timeout", "600000"));
            }
            producer = new KafkaProducer<>(properties);
            if (transaction != null) {
                producer.initTransactions();
                producer.beginTransaction();
            }
        }
        try {
            send(producer, a);
        } catch (Throwable error) {
            if (transaction == null) {
                producer.close();
            }
            throw error;
        }
        if (transaction == null) {
            producer.close();
        } else {
            open.put(transaction, producer);
            String how = a.text("end", "commit");
            if (!how.equals("open")) {
                end(transaction, how);
            }
        }
    }

    private void end(String transaction, String how) throws Exception {
        KafkaProducer<byte[], byte[]> producer = open.remove(transaction);
        if (producer == null) {
            throw new IllegalArgumentException("no open transaction " + transaction);
        }
        if (how.equals("commit")) {
            producer.commitTransaction();
        } else {
            producer.abortTransaction();
        }
        producer.close();
        awaitMarkers(written.remove(transaction));
    }

    /** The broker answers before the markers are written; until then a read_committed reader sees the transaction as open. */
    private void awaitMarkers(Map<TopicPartition, Long> last) throws Exception {
        long deadline = System.currentTimeMillis() + DEADLINE_MS;
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("read_uncommitted", null)) {
            for (Map.Entry<TopicPartition, Long> entry : last.entrySet()) {
                TopicPartition partition = entry.getKey();
                while (consumer.endOffsets(Collections.singleton(partition)).get(partition) < entry.getValue() + 2) {
                    late(deadline, "no transaction marker in " + partition);
                }
            }
        }
    }

    private void send(KafkaProducer<byte[], byte[]> producer, Arguments a) throws Exception {
        Dataset dataset = new Dataset(a);
        String topic = a.text("topic");
        int partitions = a.has("partition") ? 0 : producer.partitionsFor(topic).size();
        long flushEvery = a.big("flush_every", 0);
        // One failed send fails the command; holding every future of a long run would cost memory.
        Exception[] failure = new Exception[1];
        Map<TopicPartition, Long> last = written.computeIfAbsent(a.text("txn", ""), id -> new ConcurrentHashMap<>());
        for (long index = dataset.first; index < dataset.first + dataset.count; index++) {
            int partition = a.has("partition") ? a.number("partition", 0) : (int) (index % partitions);
            producer.send(dataset.record(topic, partition, index), (RecordMetadata metadata, Exception error) -> {
                if (error != null) {
                    failure[0] = error;
                } else {
                    last.merge(new TopicPartition(topic, partition), metadata.offset(), Math::max);
                }
            });
            if (flushEvery > 0 && (index - dataset.first + 1) % flushEvery == 0) {
                producer.flush();
            }
        }
        producer.flush();
        if (failure[0] != null) {
            throw failure[0];
        }
        print(Long.toString(dataset.count));
    }

    private Node leader(String topic, int partition) {
        return topics().get(topic).stream().filter(p -> p.partition() == partition).findFirst().get().leader();
    }

    // ---- reading ----------------------------------------------------------------------------------------------

    /** Every partition by itself, in order, up to the end offset at the start: per record a line, per partition a digest. */
    private void dump(Arguments a) throws Exception {
        boolean lines = a.text("lines", "no").equals("yes");
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(a.text("isolation", "read_committed"), a)) {
            for (TopicPartition partition : partitions(consumer, a)) {
                MessageDigest digest = MessageDigest.getInstance("SHA-256");
                long[] count = new long[1];
                long end = read(consumer, partition, record -> {
                    count[0]++;
                    digest(digest, record);
                    if (lines) {
                        print("r", Integer.toString(record.partition()), Long.toString(record.offset()),
                                Long.toString(record.timestamp()), record.timestampType().toString(),
                                hex(record.key(), 200), hex(record.value(), 200), headers(record));
                    }
                });
                print("p", Integer.toString(partition.partition()), Long.toString(count[0]), Long.toString(end),
                        hex(digest.digest(), 32));
            }
        }
    }

    private interface Sink {
        void accept(ConsumerRecord<byte[], byte[]> record) throws Exception;
    }

    private long read(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, Sink sink) throws Exception {
        List<TopicPartition> one = Collections.singletonList(partition);
        consumer.assign(one);
        consumer.seekToBeginning(one);
        long end = consumer.endOffsets(one).get(partition);
        long deadline = System.currentTimeMillis() + DEADLINE_MS;
        long position = consumer.position(partition);
        while (position < end) {
            for (ConsumerRecord<byte[], byte[]> record : poll(consumer)) {
                if (record.offset() < end) {
                    sink.accept(record);
                }
            }
            long before = position;
            position = consumer.position(partition);
            if (position > before) {
                deadline = System.currentTimeMillis() + DEADLINE_MS;
            } else {
                late(deadline, partition + " stands still at " + position + " of " + end);
            }
        }
        return end;
    }

    private static void digest(MessageDigest digest, ConsumerRecord<byte[], byte[]> record) {
        number(digest, record.timestamp());
        field(digest, record.key());
        field(digest, record.value());
        for (Header header : record.headers()) {
            field(digest, utf8(header.key()));
            field(digest, header.value());
        }
        number(digest, -2);
    }

    private static void field(MessageDigest digest, byte[] bytes) {
        number(digest, bytes == null ? -1 : bytes.length);
        if (bytes != null) {
            digest.update(bytes);
        }
    }

    private static void number(MessageDigest digest, long number) {
        for (int shift = 56; shift >= 0; shift -= 8) {
            digest.update((byte) (number >>> shift));
        }
    }

    private static String headers(ConsumerRecord<?, ?> record) throws Exception {
        StringBuilder text = new StringBuilder();
        for (Header header : record.headers()) {
            text.append(text.length() == 0 ? "" : ",").append(encode(header.key())).append(':').append(hex(header.value(), 64));
        }
        return text.toString();
    }

    /** Null is "-"; long fields end in their length and digest. */
    private static String hex(byte[] bytes, int limit) throws Exception {
        if (bytes == null) {
            return "-";
        }
        StringBuilder text = new StringBuilder("=");
        for (int i = 0; i < Math.min(limit, bytes.length); i++) {
            text.append(Character.forDigit(bytes[i] >> 4 & 15, 16)).append(Character.forDigit(bytes[i] & 15, 16));
        }
        if (bytes.length > limit) {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(bytes);
            text.append("..").append(bytes.length).append("..").append(hex(digest, 32).substring(1));
        }
        return text.toString();
    }

    private void offsets(Arguments a) throws Exception {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(a.text("isolation", "read_uncommitted"), a)) {
            List<TopicPartition> all = partitions(consumer, a);
            Map<TopicPartition, Long> first = consumer.beginningOffsets(all);
            Map<TopicPartition, Long> last = consumer.endOffsets(all);
            for (TopicPartition partition : all) {
                print(Integer.toString(partition.partition()), Long.toString(first.get(partition)),
                        Long.toString(last.get(partition)));
            }
        }
    }

    /** Makes the log cleaner pass over everything written so far, and waits until each key is there once. */
    private void compact(Arguments a) throws Exception {
        String topic = a.text("topic");
        Map<String, String> fast = new HashMap<>();
        fast.put("cleanup.policy", "compact");
        fast.put("segment.ms", "100");
        fast.put("min.cleanable.dirty.ratio", "0.001");
        alter(topic, fast, Collections.emptyList());
        long deadline = System.currentTimeMillis() + DEADLINE_MS;
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("read_uncommitted", null)) {
            List<TopicPartition> all = partitions(consumer, a);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            for (int round = 0; !cleaned(consumer, all, ends); round++) {
                // The active segment is never cleaned: a later record rolls it.
                Thread.sleep(300);
                if (round % 10 < 2) {
                    roll(topic, all);
                }
                late(deadline, topic + " is not compacted");
            }
        }
        alter(topic, Collections.emptyMap(), Arrays.asList("segment.ms", "min.cleanable.dirty.ratio"));
    }

    private void roll(String topic, List<TopicPartition> all) throws Exception {
        Properties properties = clientProperties(null);
        properties.put("key.serializer", ByteArraySerializer.class.getName());
        properties.put("value.serializer", ByteArraySerializer.class.getName());
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties)) {
            for (TopicPartition partition : all) {
                byte[] key = utf8("roll-" + System.nanoTime());
                producer.send(new ProducerRecord<>(topic, partition.partition(), key, utf8("x"))).get();
            }
        }
    }

    private boolean cleaned(KafkaConsumer<byte[], byte[]> consumer, List<TopicPartition> all, Map<TopicPartition, Long> ends)
            throws Exception {
        for (TopicPartition partition : all) {
            Set<String> seen = new HashSet<>();
            boolean[] twice = new boolean[1];
            read(consumer, partition, record -> {
                if (record.offset() < ends.get(partition)) {
                    twice[0] |= !seen.add(hex(record.key(), 1 << 20));
                }
            });
            if (twice[0]) {
                return false;
            }
        }
        return true;
    }

    // ---- groups -----------------------------------------------------------------------------------------------

    private void commit(Arguments a) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("read_uncommitted", a)) {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (String pair : a.list("offsets")) {
                String[] parts = pair.split(":");
                offsets.put(new TopicPartition(a.text("topic"), Integer.parseInt(parts[0])),
                        new OffsetAndMetadata(Long.parseLong(parts[1]), a.text("metadata", "")));
            }
            consumer.assign(offsets.keySet());
            consumer.commitSync(offsets);
        }
    }

    private void committed(Arguments a) throws Exception {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("read_uncommitted", a)) {
            for (TopicPartition partition : partitions(consumer, a)) {
                OffsetAndMetadata found;
                try {
                    found = (OffsetAndMetadata) KafkaConsumer.class.getMethod("committed", TopicPartition.class)
                            .invoke(consumer, partition);
                } catch (NoSuchMethodException recent) {
                    found = (OffsetAndMetadata) ((Map<?, ?>) KafkaConsumer.class.getMethod("committed", Set.class)
                            .invoke(consumer, Collections.singleton(partition))).get(partition);
                }
                if (found != null) {
                    print(Integer.toString(partition.partition()), Long.toString(found.offset()), encode(found.metadata()));
                }
            }
        }
    }

    /** Joins a group as its only member, reads, commits, and leaves. */
    private void join(Arguments a) throws Exception {
        long deadline = System.currentTimeMillis() + DEADLINE_MS;
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("read_committed", a)) {
            consumer.subscribe(Collections.singleton(a.text("topic")));
            while (poll(consumer).isEmpty()) {
                late(deadline, "nothing to read as a member of " + a.text("group"));
            }
            consumer.commitSync();
        }
    }

    private KafkaConsumer<byte[], byte[]> member(Arguments a) {
        Properties properties = clientProperties(a);
        properties.put("group.id", a.text("group"));
        properties.put("isolation.level", "read_committed");
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", a.text("reset", "none"));
        properties.put("max.poll.records", a.text("poll", "10"));
        if (a.has("protocol")) {
            properties.put("group.protocol", a.text("protocol"));
        }
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Reads as the only member of a group, {@code count} records or up to the end, commits, and leaves: a line per record. */
    private void consume(Arguments a) throws Exception {
        long deadline = System.currentTimeMillis() + DEADLINE_MS;
        long left = a.big("count", Long.MAX_VALUE);
        try (KafkaConsumer<byte[], byte[]> consumer = member(a)) {
            consumer.subscribe(Collections.singleton(a.text("topic")));
            while (left > 0 && !isAtEnd(consumer)) {
                for (ConsumerRecord<byte[], byte[]> record : poll(consumer)) {
                    left--;
                    print(Integer.toString(record.partition()), Long.toString(record.offset()),
                            Long.toString(record.timestamp()), hex(record.key(), 200));
                }
                late(deadline, a.text("group") + " does not get to the end");
            }
            consumer.commitSync();
        }
    }

    private static boolean isAtEnd(KafkaConsumer<byte[], byte[]> consumer) {
        Set<TopicPartition> assigned = consumer.assignment();
        Map<TopicPartition, Long> ends = consumer.endOffsets(assigned);
        return !assigned.isEmpty() && assigned.stream().allMatch(at -> consumer.position(at) >= ends.get(at));
    }

    /** Keeps a member in a group that commits nothing, until {@code release}. */
    private void hold(Arguments a) throws Exception {
        KafkaConsumer<byte[], byte[]> consumer = member(a);
        consumer.subscribe(Collections.singleton(a.text("topic")));
        long deadline = System.currentTimeMillis() + DEADLINE_MS;
        while (consumer.assignment().isEmpty()) {
            poll(consumer);
            late(deadline, "no assignment in " + a.text("group"));
        }
        boolean[] stop = new boolean[1];
        Thread thread = new Thread(() -> {
            try {
                while (!stop[0]) {
                    poll(consumer);
                }
                consumer.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        });
        thread.setDaemon(true);
        holders.put(a.text("group"), () -> {
            stop[0] = true;
            thread.join();
            return null;
        });
        thread.start();
    }

    private void release(String group) throws Exception {
        holders.remove(group).call();
    }

    private void groups() throws Exception {
        Collection<?> all = (Collection<?>) ((Future<?>) call(call(admin, "listConsumerGroups"), "all")).get();
        for (Object group : all) {
            print(encode((String) call(group, "groupId")));
        }
    }

    // ---- helpers ----------------------------------------------------------------------------------------------

    private Properties clientProperties(Arguments a) {
        Properties properties = new Properties();
        properties.putAll(common);
        if (a != null) {
            properties.putAll(a.starting("client."));
        }
        return properties;
    }

    private KafkaConsumer<byte[], byte[]> consumer(String isolation, Arguments a) {
        Properties properties = clientProperties(a);
        properties.put("isolation.level", isolation);
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        properties.put("max.partition.fetch.bytes", "16777216");
        properties.put("fetch.max.bytes", "67108864");
        properties.put("max.poll.records", "20000");
        if (a != null && a.has("group")) {
            properties.put("group.id", a.text("group"));
        } else {
            properties.put("group.id", "oracle");
        }
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private List<TopicPartition> partitions(Consumer<?, ?> consumer, Arguments a) {
        List<PartitionInfo> found = topics(consumer).get(a.text("topic"));
        if (found == null) {
            throw new IllegalArgumentException("no topic " + a.text("topic"));
        }
        List<TopicPartition> all = new ArrayList<>();
        for (PartitionInfo info : found) {
            if (!a.has("partition") || info.partition() == a.number("partition", 0)) {
                all.add(new TopicPartition(info.topic(), info.partition()));
            }
        }
        all.sort((x, y) -> Integer.compare(x.partition(), y.partition()));
        return all;
    }

    private static Method poll;
    private static Object pollArgument;

    /** {@code poll(Duration)} came in 2.0, {@code poll(long)} went in 4.0. */
    @SuppressWarnings("unchecked")
    private static ConsumerRecords<byte[], byte[]> poll(KafkaConsumer<byte[], byte[]> consumer) throws Exception {
        if (poll == null) {
            try {
                poll = KafkaConsumer.class.getMethod("poll", java.time.Duration.class);
                pollArgument = java.time.Duration.ofMillis(500);
            } catch (NoSuchMethodException old) {
                poll = KafkaConsumer.class.getMethod("poll", long.class);
                pollArgument = 500L;
            }
        }
        return (ConsumerRecords<byte[], byte[]>) poll.invoke(consumer, pollArgument);
    }

    /** Calls a public method by name; the newest client's public types declare what the older ones lack. */
    private static Object call(Object target, String name, Object... arguments) throws Exception {
        for (Class<?> type = target.getClass(); type != null; type = type.getSuperclass()) {
            for (Method method : type.getMethods()) {
                if (method.getName().equals(name) && method.getParameterCount() == arguments.length
                        && java.lang.reflect.Modifier.isPublic(method.getDeclaringClass().getModifiers())) {
                    return method.invoke(target, arguments);
                }
            }
        }
        throw new NoSuchMethodException(target.getClass() + "." + name);
    }

    private static void late(long deadline, String what) throws Exception {
        if (System.currentTimeMillis() > deadline) {
            throw new IllegalStateException(what);
        }
        Thread.sleep(20);
    }

    private void print(String... fields) {
        out.println(String.join("\t", Arrays.asList(fields)));
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String encode(String text) throws Exception {
        return URLEncoder.encode(text, "UTF-8");
    }
}
