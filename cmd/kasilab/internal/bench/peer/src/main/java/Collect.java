import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * What the collect stage does to a transaction, as a Kafka Streams program: read the JSON, drop duplicates by the customer's state, write the transaction event, and for income
 * a deposit and a decision. It decides far less than the engine does (no ticks, calendar, rails or income streams) and numbers nothing, so it is a peer for the runtime, not for the rules.
 */
public final class Collect {
  private static final ObjectMapper JSON = new ObjectMapper();

  @JsonIgnoreProperties(ignoreUnknown = true)
  @JsonInclude(JsonInclude.Include.NON_NULL)
  static class Transaction {
    public String transaction_id, tenant_id, customer_id, booked_at;
    public long amount_cents;
    public String direction, account_id;
    public Long balance_after_cents;
    public String currency, description, counterparty, category;
  }

  @JsonInclude(JsonInclude.Include.NON_NULL)
  static final class TransactionEvent extends Transaction {
    public String event_id, business_date, at;
    public long seq;
  }

  static final class DepositEvent {
    public String event_id, business_date, at, tenant_id, customer_id, transaction_id, deposit_date, stream_id, kind, stream_status;
    public long seq, amount_cents;
    public int confidence_percent;
  }

  static final class Inputs {
    public long due_cents, collected_cents, in_flight_cents, budget_cents;
    public int attempts;
    public String rail = "DEBICHECK", last_deposit_date;
  }

  static final class DecisionEvent {
    public String event_id, business_date, at, tenant_id, customer_id, policy_number, collection_id, period_month, action, reason, explanation, debit_id;
    public long seq, amount_cents;
    public Inputs inputs = new Inputs();
  }

  static final class Deposit {
    @JsonProperty("n") public int number;
    @JsonProperty("t") public long at;
    @JsonProperty("c") public long cents;
    @JsonProperty("s") public int stream;
  }

  /** State of a customer: the ids seen (8 bytes of hash and 4 of day each, as the engine keeps them) and the latest deposits. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  static final class Customer {
    @JsonProperty("v") public int version = 1;
    @JsonProperty("t") public String tenant;
    @JsonProperty("c") public String id;
    @JsonProperty("n") public int count;
    @JsonProperty("d") public List<Deposit> deposits = new ArrayList<>();
    @JsonProperty("x") public byte[] seen = new byte[0];

    boolean first(String transaction, long second) {
      long hash = 0xcbf29ce484222325L; // FNV-1a
      for (int i = 0; i < transaction.length(); i++) {
        hash = (hash ^ transaction.charAt(i)) * 0x100000001b3L;
      }
      ByteBuffer had = ByteBuffer.wrap(seen);
      for (int i = seen.length - 12; i >= 0; i -= 12) {
        if (had.getLong(i) == hash) {
          return false;
        }
      }
      ByteBuffer now = ByteBuffer.wrap(Arrays.copyOf(seen, seen.length + 12));
      now.putLong(seen.length, hash).putInt(seen.length + 8, (int) (second / 86400));
      seen = now.array();
      return true;
    }
  }

  static <T> Serde<T> serde(Class<T> type) {
    ObjectReader reader = JSON.readerFor(type);
    ObjectWriter writer = JSON.writerFor(type);
    return Serdes.serdeFrom(
        (topic, value) -> {
          try {
            return value == null ? null : writer.writeValueAsBytes(value);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        },
        (topic, bytes) -> {
          try {
            return bytes == null ? null : reader.readValue(bytes);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  static final class Decide implements Processor<String, byte[], String, Object> {
    private final ObjectReader transactions = JSON.readerFor(TransactionEvent.class);
    private ProcessorContext<String, Object> context;
    private KeyValueStore<String, Customer> store;

    @Override
    public void init(ProcessorContext<String, Object> context) {
      this.context = context;
      this.store = context.getStateStore("customers");
    }

    @Override
    public void process(Record<String, byte[]> in) {
      Header kind = in.headers().lastHeader("kasi.kind");
      if (kind == null || !"transaction".equals(new String(kind.value(), StandardCharsets.UTF_8))) {
        return;
      }
      in.headers().remove("kasi.kind");
      TransactionEvent tx;
      try {
        tx = transactions.readValue(in.value());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      OffsetDateTime booked = OffsetDateTime.parse(tx.booked_at);
      Customer customer = store.get(in.key());
      if (customer == null) {
        customer = new Customer();
        customer.tenant = tx.tenant_id;
        customer.id = tx.customer_id;
      }
      if (!customer.first(tx.transaction_id, booked.toEpochSecond())) {
        return;
      }
      String date = booked.toLocalDate().toString();
      tx.event_id = id("transaction", tx);
      tx.seq = ++customer.count;
      tx.business_date = date;
      tx.at = Instant.ofEpochMilli(in.timestamp()).toString();
      context.forward(in.withValue(tx), "transactions");
      if ("CREDIT".equals(tx.direction)) {
        income(in, tx, customer, date, booked.toEpochSecond());
      }
      store.put(in.key(), customer);
    }

    private void income(Record<String, byte[]> in, TransactionEvent tx, Customer customer, String date, long second) {
      Deposit deposit = new Deposit();
      deposit.number = customer.count;
      deposit.at = second;
      deposit.cents = tx.amount_cents;
      customer.deposits.add(deposit);
      if (customer.deposits.size() > 8) {
        customer.deposits.remove(0);
      }
      DepositEvent event = new DepositEvent();
      event.event_id = id("deposit", tx);
      event.business_date = event.deposit_date = date;
      event.at = tx.at;
      event.tenant_id = tx.tenant_id;
      event.customer_id = tx.customer_id;
      event.transaction_id = tx.transaction_id;
      event.amount_cents = tx.amount_cents;
      event.stream_id = "SALARY-1";
      event.kind = "SALARY";
      event.stream_status = "EARLY_DETECTION";
      event.seq = customer.count;
      context.forward(in.withValue(event), "deposits");
      DecisionEvent decision = new DecisionEvent();
      decision.event_id = id("decision", tx);
      decision.business_date = date;
      decision.at = tx.at;
      decision.tenant_id = tx.tenant_id;
      decision.customer_id = tx.customer_id;
      decision.policy_number = "P-" + tx.customer_id;
      decision.collection_id = id("collection", tx);
      decision.period_month = date.substring(0, 7);
      decision.action = "DEBIT";
      decision.reason = "MONEY_IS_THERE";
      decision.explanation = "Enough money came in and no debit is under way, so the premium is debited.";
      decision.debit_id = id("debit", tx);
      decision.amount_cents = Math.min(15000, tx.amount_cents);
      decision.inputs.due_cents = 15000;
      decision.inputs.budget_cents = tx.amount_cents;
      decision.inputs.last_deposit_date = date;
      decision.seq = customer.count;
      context.forward(in.withValue(decision), "decisions");
    }

    private static String id(String kind, Transaction tx) {
      return UUID.nameUUIDFromBytes((kind + ':' + tx.tenant_id + ':' + tx.customer_id + ':' + tx.transaction_id).getBytes(StandardCharsets.UTF_8)).toString();
    }
  }

  /** Arguments: brokers, application id, input topic, prefix of the output topics, further settings as name=value. */
  public static void main(String[] args) throws InterruptedException {
    Topology topology = new Topology();
    topology.addSource("timeline", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), args[2]);
    topology.addProcessor("decide", Decide::new, "timeline");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("customers"), Serdes.String(), serde(Customer.class)).withCachingEnabled(), "decide");
    topology.addSink("transactions", args[3] + "transactions", Serdes.String().serializer(), serde(Object.class).serializer(), "decide");
    topology.addSink("deposits", args[3] + "deposits", Serdes.String().serializer(), serde(Object.class).serializer(), "decide");
    topology.addSink("decisions", args[3] + "decisions", Serdes.String().serializer(), serde(Object.class).serializer(), "decide");

    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put("consumer.auto.offset.reset", "earliest");
    for (String setting : Arrays.copyOfRange(args, 4, args.length)) {
      String[] pair = setting.split("=", 2);
      settings.put(pair[0], pair[1]);
    }
    KafkaStreams streams = new KafkaStreams(topology, settings);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
    Thread.currentThread().join();
  }
}
