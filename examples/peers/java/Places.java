import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodySubscriber;
import java.net.http.HttpResponse.BodySubscribers;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/** Google Places, by the JDK's own client, which keeps connections. */
final class Places {
    private static final byte[] UNKNOWN_ERROR = "{\"html_attributions\":[],\"results\":[],\"status\":\"UNKNOWN_ERROR\"}"
            .getBytes(StandardCharsets.US_ASCII);
    private static final Duration CONNECT_DEADLINE = Duration.ofSeconds(3);
    private static final Duration DEADLINE = Duration.ofSeconds(10);
    private static final int BODY_MAX = 1 << 20;

    static {
        // The client keeps as many idle connections as there were at once, for twenty minutes; and it has no
        // other way to be told.
        System.setProperty("jdk.httpclient.connectionPoolSize", "4");
        System.setProperty("jdk.httpclient.keepalive.timeout", "30");
    }

    private final HttpClient client;
    /** Everything up to the location; null if nobody can be asked. */
    private final String address;
    private final String key;

    Places(URI url, Path caFile) throws IOException, GeneralSecurityException {
        HttpClient.Builder builder = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(CONNECT_DEADLINE);
        if (caFile != null) {
            builder.sslContext(trusting(caFile));
        }
        client = builder.build();
        address = url == null
                ? null
                : url.toString().replaceAll("/+$", "") + "/maps/api/place/nearbysearch/json?location=";
        String secret = System.getenv("GOOGLE_PLACES_API_KEY");
        // It encodes forms, where a space is a plus.
        key = secret == null || secret.isEmpty()
                ? ""
                : "&key=" + URLEncoder.encode(secret, StandardCharsets.UTF_8).replace("+", "%20");
    }

    /** The JSON and the empty line, whatever happens. */
    CompletableFuture<byte[]> near(String coordinates, int metres, int bound) {
        if (address == null) {
            return CompletableFuture.completedFuture(frame(UNKNOWN_ERROR));
        }
        URI uri = URI.create(address + coordinates + "&radius=" + metres + key);
        HttpRequest request = HttpRequest.newBuilder(uri).timeout(DEADLINE).build();
        CompletableFuture<HttpResponse<byte[]>> exchange = client.sendAsync(request, Places::receive);
        // The request's own deadline ends with the head of the answer.
        return exchange.copy()
                .orTimeout(DEADLINE.toMillis(), TimeUnit.MILLISECONDS)
                .whenComplete((response, failure) -> exchange.cancel(true))
                .thenApply(response -> cut(response.body(), bound))
                .exceptionally(failure -> UNKNOWN_ERROR)
                .thenApply(Places::frame);
    }

    /** At most so many results, otherwise byte for byte what it was. */
    private static byte[] cut(byte[] body, int bound) {
        String text = decode(body);
        if (!(Json.parse(text) instanceof Json.Dictionary answer)
                || !(answer.members().get("status") instanceof Json.Text)) {
            throw new IllegalArgumentException("no status");
        }
        if (!(answer.members().get("results") instanceof Json.Array results) || results.items().size() <= bound) {
            return body;
        }
        List<Json> items = results.items();
        int keep = bound == 0 ? results.start() + 1 : items.get(bound - 1).end();
        int goOn = bound == 0 ? results.end() - 1 : items.get(items.size() - 1).end();
        return (text.substring(0, keep) + text.substring(goOn)).getBytes(StandardCharsets.UTF_8);
    }

    /** Strictly: `new String` would put another character for what is no UTF-8. */
    private static String decode(byte[] body) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(body)).toString();
        } catch (CharacterCodingException problem) {
            throw new CompletionException(problem);
        }
    }

    /** A run of newlines becomes one, those at the end go, and two end it. CRLF counts as a newline. */
    private static byte[] frame(byte[] json) {
        Bytes out = new Bytes(json.length + 2);
        boolean newline = false;
        for (int at = 0; at < json.length; at++) {
            boolean isCrLf = json[at] == '\r' && at + 1 < json.length && json[at + 1] == '\n';
            if (json[at] == '\n' || isCrLf) {
                newline = true;
                at += isCrLf ? 1 : 0;
                continue;
            }
            if (newline) {
                out.add('\n');
                newline = false;
            }
            out.add(json, at, at + 1);
        }
        return out.add('\n').add('\n').copyFrom(0);
    }

    private static BodySubscriber<byte[]> receive(HttpResponse.ResponseInfo head) {
        return head.statusCode() == 200 ? new Limited() : BodySubscribers.replacing(null);
    }

    /** The JDK's roots, and those of the file. */
    private static SSLContext trusting(Path caFile) throws IOException, GeneralSecurityException {
        KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
        roots.load(null, null);
        for (TrustManager manager : trustManagers(null)) {
            for (X509Certificate root : ((X509TrustManager) manager).getAcceptedIssuers()) {
                roots.setCertificateEntry("jdk " + roots.size(), root);
            }
        }
        try (InputStream file = Files.newInputStream(caFile)) {
            for (Certificate root : CertificateFactory.getInstance("X.509").generateCertificates(file)) {
                roots.setCertificateEntry("file " + roots.size(), root);
            }
        }
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trustManagers(roots), null);
        return context;
    }

    private static TrustManager[] trustManagers(KeyStore roots) throws GeneralSecurityException {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(roots);
        return factory.getTrustManagers();
    }

    /** Takes a body, unless it is too long. */
    private static final class Limited implements BodySubscriber<byte[]> {
        private final BodySubscriber<byte[]> whole = BodySubscribers.ofByteArray();
        private Flow.Subscription subscription;
        private long left = BODY_MAX;

        @Override
        public CompletionStage<byte[]> getBody() {
            return whole.getBody();
        }

        @Override
        public void onSubscribe(Flow.Subscription subscription) {
            this.subscription = subscription;
            whole.onSubscribe(subscription);
        }

        @Override
        public void onNext(List<ByteBuffer> pieces) {
            left -= pieces.stream().mapToLong(ByteBuffer::remaining).sum();
            if (left < 0) {
                subscription.cancel();
                whole.onError(new IOException("the body is too long"));
            } else {
                whole.onNext(pieces);
            }
        }

        @Override
        public void onError(Throwable failure) {
            whole.onError(failure);
        }

        @Override
        public void onComplete() {
            whole.onComplete();
        }
    }
}
