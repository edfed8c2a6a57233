import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyStore;
import java.util.Base64;

/** Writes the private key of a PKCS#12 file as PKCS#8 PEM: keytool exports certificates only. */
public class ExportKey {
    public static void main(String[] args) throws Exception {
        char[] password = args[0].toCharArray();
        for (int i = 1; i + 2 < args.length; i += 3) {
            KeyStore store = KeyStore.getInstance("PKCS12");
            try (FileInputStream in = new FileInputStream(args[i])) {
                store.load(in, password);
            }
            Key key = store.getKey(args[i + 1], password);
            String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(key.getEncoded());
            Files.writeString(Path.of(args[i + 2]),
                    "-----BEGIN PRIVATE KEY-----\n" + text + "\n-----END PRIVATE KEY-----\n");
        }
    }
}
