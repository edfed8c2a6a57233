import java.net.URLDecoder;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The {@code name=value} words of a command. */
final class Arguments {
    private final Map<String, String> all = new TreeMap<>();

    Arguments(String[] words) throws Exception {
        for (int i = 1; i < words.length; i++) {
            int at = words[i].indexOf('=');
            all.put(words[i].substring(0, at), URLDecoder.decode(words[i].substring(at + 1), "UTF-8"));
        }
    }

    boolean has(String name) {
        return all.containsKey(name);
    }

    String text(String name) {
        if (!has(name)) {
            throw new IllegalArgumentException("missing " + name);
        }
        return all.get(name);
    }

    String text(String name, String otherwise) {
        return all.getOrDefault(name, otherwise);
    }

    int number(String name, int otherwise) {
        return has(name) ? Integer.parseInt(all.get(name)) : otherwise;
    }

    long big(String name, long otherwise) {
        return has(name) ? Long.parseLong(all.get(name)) : otherwise;
    }

    List<String> list(String name) {
        return has(name) && !all.get(name).isEmpty() ? Arrays.asList(all.get(name).split(",")) : Collections.emptyList();
    }

    Map<String, String> starting(String prefix) {
        Map<String, String> found = new TreeMap<>();
        all.forEach((name, value) -> {
            if (name.startsWith(prefix)) {
                found.put(name.substring(prefix.length()), value);
            }
        });
        return found;
    }
}
