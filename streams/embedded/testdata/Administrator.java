import java.util.*;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

/** What an administrator does with Java's own client. Prints a line for each thing that worked; an exception ends it. */
public class Administrator {
  public static void main(String[] args) throws Exception {
    Map<String, Object> to = Map.of("bootstrap.servers", args[0], "default.api.timeout.ms", 20_000,
        "request.timeout.ms", 10_000);
    try (Admin admin = Admin.create(new HashMap<>(to))) {
      say("cluster", admin.describeCluster().clusterId().get());
      admin.createTopics(List.of(new NewTopic("java", 3, (short) 1)
          .configs(Map.of("retention.ms", "-1")))).all().get();
      say("names", new TreeSet<>(admin.listTopics().names().get()).contains("java"));
      say("described", admin.describeTopics(List.of("java")).allTopicNames().get().get("java").partitions().size());
      ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "java");
      say("config", admin.describeConfigs(List.of(topic)).all().get().get(topic).get("retention.ms").value());
      admin.incrementalAlterConfigs(Map.of(topic, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "1000000"),
          AlterConfigOp.OpType.SET)))).all().get();
      say("altered", admin.describeConfigs(List.of(topic)).all().get().get(topic).get("retention.ms").value());
      admin.createPartitions(Map.of("java", NewPartitions.increaseTo(4))).all().get();
      say("partitions", admin.describeTopics(List.of("java")).allTopicNames().get().get("java").partitions().size());
      consume(to);
      say("groups", admin.listConsumerGroups().all().get().stream().map(ConsumerGroupListing::groupId).toList());
      say("all groups", admin.listGroups().all().get().stream().map(GroupListing::groupId).toList());
      say("members", admin.describeConsumerGroups(List.of("java-group")).all().get().get("java-group").members().size());
      TopicPartition first = new TopicPartition("java", 0);
      say("committed", admin.listConsumerGroupOffsets("java-group").partitionsToOffsetAndMetadata().get().get(first).offset());
      say("end", admin.listOffsets(Map.of(first, OffsetSpec.latest())).partitionResult(first).get().offset());
      admin.deleteConsumerGroups(List.of("java-group")).all().get();
      admin.deleteTopics(List.of("java")).all().get();
      say("deleted", !admin.listTopics().names().get().contains("java"));
      say("quotas", refused(() -> admin.describeClientQuotas(
          org.apache.kafka.common.quota.ClientQuotaFilter.all()).entities().get(20, TimeUnit.SECONDS)));
    }
  }

  /** A record is written to partition 0, read by a group, and its offset committed. */
  static void consume(Map<String, Object> to) throws Exception {
    Map<String, Object> own = new HashMap<>(to);
    try (Producer<String, String> p = new KafkaProducer<>(own, new StringSerializer(), new StringSerializer())) {
      p.send(new ProducerRecord<>("java", 0, "k", "v")).get();
    }
    own.putAll(Map.of("group.id", "java-group", "auto.offset.reset", "earliest"));
    try (Consumer<String, String> c = new KafkaConsumer<>(own, new StringDeserializer(), new StringDeserializer())) {
      c.subscribe(List.of("java"));
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
      while (c.poll(java.time.Duration.ofMillis(200)).isEmpty()) {
        if (System.nanoTime() > end) throw new IllegalStateException("nothing was read in 30 s");
      }
      c.commitSync();
    }
  }

  interface Call { Object make() throws Exception; }

  static boolean refused(Call call) throws Exception {
    try {
      call.make();
      return false;
    } catch (java.util.concurrent.ExecutionException e) {
      return e.getCause() instanceof org.apache.kafka.common.errors.UnsupportedVersionException;
    }
  }

  static void say(String what, Object value) { System.out.println(what + ": " + value); }
}
