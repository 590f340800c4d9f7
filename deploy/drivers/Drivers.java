import java.sql.DriverManager;
import java.util.Properties;

/** What analysts use from Java, DBeaver and Metabase: the JDBC driver, its look at the catalogue, its time limit. */
public class Drivers {
    public static void main(String[] args) throws Exception {
        var login = new Properties();
        login.setProperty("user", "analyst");
        login.setProperty("password", System.getenv("KASI_ANALYST_PASSWORD"));
        var url = "jdbc:clickhouse://" + System.getenv("CLICKHOUSE_HTTP") + "/kasi";
        try (var connection = DriverManager.getConnection(url, login)) {
            var views = connection.getMetaData().getTables(null, "kasi", "customers", null);
            if (!views.next()) {
                throw new IllegalStateException("the driver does not find view customers");
            }
            var columns = connection.getMetaData().getColumns(null, "kasi", "customers", "premium");
            if (!columns.next() || columns.getString("REMARKS").isEmpty()) {
                throw new IllegalStateException("the driver does not find the comment of customers.premium");
            }
            try (var statement = connection.prepareStatement("SELECT reason FROM reason_codes WHERE reason_code = ?")) {
                statement.setQueryTimeout(30);
                statement.setString(1, "02");
                var rows = statement.executeQuery();
                if (!rows.next() || !rows.getString(1).equals("INSUFFICIENT_FUNDS")) {
                    throw new IllegalStateException("reason_codes says otherwise");
                }
            }
            System.out.println("java: " + connection.getMetaData().getDriverName() + " "
                + connection.getMetaData().getDriverVersion());
        }
    }
}
