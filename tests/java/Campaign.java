import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/**
 * The side of the fault campaign that knows nothing of our code: writes the load, moves leaders, sets quotas and rights, and
 * judges the copy in the end. Same protocol as {@link Oracle}; one JVM serves both clusters, {@code source} and {@code target}.
 *
 * <p>Needs the client of 4.x.
 */
public class Campaign {
    private static PrintStream out;
    private static final Map<String, String> BOOTSTRAP = new HashMap<>();
    private static final Map<String, Admin> ADMINS = new HashMap<>();
    private static final List<CampaignLoad> LOADS = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        out = new PrintStream(System.out, false, "UTF-8");
        System.setOut(System.err);
        for (String argument : args) {
            int at = argument.indexOf('=');
            BOOTSTRAP.put(argument.substring(0, at), argument.substring(at + 1));
        }
        for (Map.Entry<String, String> cluster : BOOTSTRAP.entrySet()) {
            Properties properties = new Properties();
            properties.put("bootstrap.servers", cluster.getValue());
            properties.put("request.timeout.ms", "5000");
            properties.put("metadata.max.age.ms", "3000");
            ADMINS.put(cluster.getKey(), Admin.create(properties));
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                run(line.trim().split(" "));
                out.println("ok");
            } catch (Throwable error) {
                Throwable cause = error instanceof ExecutionException && error.getCause() != null ? error.getCause() : error;
                error.printStackTrace();
                out.println("error " + cause.toString().replaceAll("\\s+", " "));
            }
            out.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private static void run(String[] words) throws Exception {
        Arguments a = new Arguments(words);
        switch (words[0]) {
            case "create": create(a); break;
            case "load": LOADS.add(new CampaignLoad(BOOTSTRAP.get("source"), a)); break;
            case "produced": print(Long.toString(LOADS.stream().mapToLong(CampaignLoad::sent).sum())); break;
            case "stop": stop(); break;
            case "missing-replicas": missingReplicas(admin(a)); break;
            case "elect": elect(admin(a)); break;
            case "move-leaders": moveLeaders(admin(a), a.big("seed", 0)); break;
            case "quota": quota(admin(a), a.text("name"), a.big("bytes", 0)); break;
            case "allow": admin(a).createAcls(List.of(right(a))).all().get(); break;
            case "revoke": admin(a).deleteAcls(List.of(right(a).toFilter())).all().get(); break;
            case "password": password(admin(a), a.text("user"), a.text("password")); break;
            case "forge": CampaignForge.run(BOOTSTRAP.get("source"), a); break;
            case "judge":
                new CampaignJudge(BOOTSTRAP.get("source"), BOOTSTRAP.get("target"), a, Campaign::print).run(); break;
            default: throw new IllegalArgumentException("unknown verb " + words[0]);
        }
    }

    private static Admin admin(Arguments a) {
        return ADMINS.get(a.text("cluster"));
    }

    private static void print(String... fields) {
        out.println(String.join("\t", fields));
    }

    private static void create(Arguments a) throws Exception {
        NewTopic topic = new NewTopic(a.text("topic"), a.number("partitions", 1), (short) a.number("replicas", 3));
        topic.configs(a.starting("config."));
        admin(a).createTopics(Set.of(topic)).all().get();
    }

    /** Ends the load and prints what it has done: records sent, records failed, transactions committed, aborted, producers renewed. */
    private static void stop() throws Exception {
        for (CampaignLoad load : LOADS) {
            load.end();
        }
        for (CampaignLoad load : LOADS) {
            load.join();
            print(load.summary());
        }
    }

    private static Collection<TopicDescription> topics(Admin admin) throws Exception {
        Set<String> names = admin.listTopics(new org.apache.kafka.clients.admin.ListTopicsOptions().listInternal(true)).names().get();
        return admin.describeTopics(names).allTopicNames().get().values();
    }

    /** How many replicas are not in sync, and how many partitions have no leader; internal topics count. */
    private static void missingReplicas(Admin admin) throws Exception {
        long missing = 0;
        long leaderless = 0;
        for (TopicDescription topic : topics(admin)) {
            for (TopicPartitionInfo partition : topic.partitions()) {
                missing += partition.replicas().size() - partition.isr().size();
                leaderless += partition.leader() == null || partition.leader().isEmpty() ? 1 : 0;
            }
        }
        print(Long.toString(missing), Long.toString(leaderless));
    }

    /** Every partition goes back to its preferred leader. */
    private static void elect(Admin admin) throws Exception {
        long moved = 0;
        for (Optional<Throwable> error : admin.electLeaders(ElectionType.PREFERRED, null).partitions().get().values()) {
            moved += error.isEmpty() ? 1 : 0;
            if (error.isPresent() && !(error.get() instanceof ElectionNotNeededException)) {
                System.err.println("elect: " + error.get());
            }
        }
        print(Long.toString(moved));
    }

    /** Gives a third of the partitions another preferred leader, and elects it: a graceful move without data movement. */
    private static void moveLeaders(Admin admin, long seed) throws Exception {
        java.util.Random random = new java.util.Random(seed);
        Map<TopicPartition, Optional<NewPartitionReassignment>> changes = new HashMap<>();
        for (TopicDescription topic : topics(admin)) {
            for (TopicPartitionInfo partition : topic.partitions()) {
                List<Integer> replicas = new ArrayList<>();
                partition.replicas().stream().map(Node::id).forEach(replicas::add);
                if (random.nextInt(3) == 0) {
                    Collections.rotate(replicas, 1 + random.nextInt(2));
                    changes.put(new TopicPartition(topic.name(), partition.partition()), Optional.of(new NewPartitionReassignment(replicas)));
                }
            }
        }
        admin.alterPartitionReassignments(changes).all().get();
        elect(admin);
    }

    /** Limits every client of the cluster without a quota of its own; 0 takes the limit away. */
    private static void quota(Admin admin, String name, long bytes) throws Exception {
        ClientQuotaEntity everybody = new ClientQuotaEntity(Collections.singletonMap(ClientQuotaEntity.CLIENT_ID, null));
        Double value = bytes == 0 ? null : (double) bytes;
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(everybody, List.of(new ClientQuotaAlteration.Op(name, value)))))
                .all().get();
    }

    private static AclBinding right(Arguments a) {
        return new AclBinding(
                new ResourcePattern(ResourceType.fromString(a.text("resource")), a.text("name", "*"), PatternType.LITERAL),
                new AccessControlEntry("User:" + a.text("user"), "*", AclOperation.fromString(a.text("operation", "ALL")),
                        AclPermissionType.ALLOW));
    }

    private static void password(Admin admin, String user, String password) throws Exception {
        ScramCredentialInfo how = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096);
        admin.alterUserScramCredentials(Arrays.asList(new UserScramCredentialUpsertion(user, how, password))).all().get();
    }
}
