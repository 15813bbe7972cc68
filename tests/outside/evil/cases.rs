//! What must come of each case of `tests/data/evil_upstream.py`: the sentence in the journal, and
//! with it what the client gets.

use Expect::*;

/// What must come of a question.
#[derive(Debug)]
pub enum Expect {
    /// The good body, whole.
    Good,
    /// Google's own words, passed on: its status, and the JSON.
    Word(&'static str, &'static str),
    /// `failed: ...`, in no time.
    Failed(&'static str),
    /// `not usable: ..., N bytes`, in no time.
    Unusable(&'static str),
    /// This state's deadline, or that of the whole.
    Slow(&'static str),
    /// The first in a burst; the second if bytes come one by one.
    Burst(&'static Expect, &'static Expect),
    /// Any of them: the kernel may tell two things at once or one after the other.
    OneOf(&'static [Expect]),
}

impl Expect {
    /// What it comes to in this pacing.
    pub fn of(&'static self, pacing: &str) -> &'static Expect {
        match self {
            Burst(burst, _) if pacing == "burst" => burst,
            Burst(_, slow) => slow,
            other => other,
        }
    }
}

const RESET: Expect = Failed("Connection reset by peer (os error 104)");
const NO_ANSWER: Expect = Failed("closed before the first byte of an answer");
const NO_ANSWER_CUT: Expect = Failed(
    "closed before the first byte of an answer; the connection was cut: no close_notify came",
);
const SHORT: Expect = Failed("closed before the end of the body");
const SHORT_CUT: Expect =
    Failed("closed before the end of the body; the connection was cut: no close_notify came");
const HEAD_SHORT: Expect = Failed("closed before the end of the head");
const HEAD_SHORT_CUT: Expect =
    Failed("closed before the end of the head; the connection was cut: no close_notify came");
const UNCLEAN: Expect = Failed(
    "the body ends with the connection, which was not closed cleanly; the connection was cut: no \
     close_notify came",
);
const TWO_LENGTHS: Expect = Failed("both Content-Length and Transfer-Encoding");
const LENGTH: Expect = Failed("a Content-Length is something else than digits");
const TOO_LONG: Expect = Failed("the body is longer than 1048576 bytes");
const ENCODING: Expect = Failed("a Transfer-Encoding other than a single chunked of HTTP/1.1");
const HEADERS: Expect = Failed("the head has more than 64 headers");
const HEAD_LONG: Expect = Failed("the head is longer than 16384 bytes");
const NAME: Expect = Failed("expected the name of a header and a colon");
const VALUE: Expect = Failed("a header's value holds a control character");
const INTERIM: Expect = Failed("more than 8 responses of 1xx");
const EXTRA: Expect = Failed("bytes after the end of the body");
/// The end of the body may have been read before what follows it had come.
const EXTRA_OR_GOOD: Expect = Burst(&EXTRA, &OneOf(&[EXTRA, Good]));
const EARLY: Expect = Failed("bytes came before they were asked for");
/// The question goes out as soon as the handshake's end was read.
const EARLY_OR_GOOD: Expect = Burst(&EARLY, &OneOf(&[EARLY, Good]));
const NOT_UTF8: Expect = Unusable("the body is not UTF-8");
const NOT_JSON: Expect = Unusable("the body is not JSON");
const TOO_DEEP: Expect = Unusable("the JSON is nested more than 64 deep");
const AN_OBJECT: Expect = Unusable("expected an object in the JSON");
const A_STATUS: Expect = Unusable("expected a known status in the JSON");
const RESULTS: Expect = Unusable("expected results, an array of objects in the JSON");
const NOT_TLS: Expect = Failed("the other side does not speak TLS");
const RECORD_TOO_LONG: Expect = Failed("a TLS record or message is over the limit");
const UNDECRYPTABLE: Expect = Failed("TLS failed: cannot decrypt peer's message");
const BAD_RECORD: Expect =
    Failed("TLS failed: received corrupt message of type InvalidContentType");

/// `expected HTTP/1.1 or HTTP/1.0 and a status code, not` this byte.
macro_rules! not_http {
    ($byte:literal) => {
        Failed(concat!(
            "expected HTTP/1.1 or HTTP/1.0 and a status code, not `",
            $byte,
            "`"
        ))
    };
}

/// `expected a chunk size of 1 to 8 hex digits, not` this byte, as the journal escapes it.
macro_rules! chunk_size {
    ($byte:literal) => {
        Failed(concat!(
            "expected a chunk size of 1 to 8 hex digits, not `",
            $byte,
            "`"
        ))
    };
}

/// A status that the legacy API never gives.
macro_rules! status {
    ($status:literal) => {
        Unusable(concat!(
            "HTTP status ",
            $status,
            " without a refusal by Google"
        ))
    };
}

/// A status that asks to go elsewhere.
macro_rules! redirect {
    ($status:literal) => {
        Unusable(concat!(
            "HTTP status ",
            $status,
            ": redirects are not followed"
        ))
    };
}

/// Every case, by the name it has there.
pub const CASES: &[(&str, Expect)] = &[
    // How it ends.
    ("short_fin", SHORT_CUT),
    ("short_clean", SHORT),
    ("short_rst", RESET),
    ("short_fin_tls12", SHORT_CUT),
    ("short_clean_tls12", SHORT),
    ("head_fin", HEAD_SHORT_CUT),
    ("head_clean", HEAD_SHORT),
    ("head_rst", RESET),
    ("nothing_fin", NO_ANSWER_CUT),
    ("nothing_clean", NO_ANSWER),
    ("nothing_rst", RESET),
    ("interim_clean", HEAD_SHORT),
    ("until_close_fin", UNCLEAN),
    ("until_close_rst", RESET),
    ("chunked_fin", SHORT_CUT),
    ("chunked_clean", SHORT),
    ("chunked_clean_before_blank_line", SHORT),
    // How long it is.
    ("cl_te", TWO_LENGTHS),
    ("te_cl", TWO_LENGTHS),
    ("cl_differ", Failed("two Content-Lengths differ")),
    ("cl_list", LENGTH),
    ("cl_plus", LENGTH),
    ("cl_minus", LENGTH),
    ("cl_space", LENGTH),
    ("cl_hex", LENGTH),
    ("cl_empty", LENGTH),
    ("cl_overflow", TOO_LONG),
    ("cl_too_long", TOO_LONG),
    ("te_gzip", ENCODING),
    ("te_identity", ENCODING),
    ("te_twice", ENCODING),
    ("te_in_http10", ENCODING),
    (
        "gzip",
        Failed("a Content-Encoding, though identity was asked for"),
    ),
    ("gzip_unsaid", NOT_UTF8),
    // The head.
    ("garbage", not_http!("\\\\x80")),
    ("http09", not_http!("{")),
    ("http2_settings", not_http!("\\\\x00")),
    ("http2_preface", not_http!("P")),
    ("http2_status", not_http!("2")),
    ("blank_line_first", not_http!("\\\\r")),
    (
        "status_600",
        Failed("expected a status code in 100 to 599, not 600"),
    ),
    (
        "status_099",
        Failed("expected a status code in 100 to 599, not 99"),
    ),
    ("status_2000", not_http!("0")),
    (
        "reason_bell",
        Failed("expected a reason phrase of printable characters"),
    ),
    (
        "obs_fold",
        Failed("a line of the head begins with white space"),
    ),
    (
        "bare_lf",
        Failed("a line of the head ends with LF, not CR LF"),
    ),
    (
        "bare_cr",
        Failed("expected LF after CR in the head, not `b`"),
    ),
    ("no_colon", NAME),
    ("no_name", NAME),
    ("space_before_colon", NAME),
    ("nul_in_value", VALUE),
    ("header_70k", HEAD_LONG),
    ("headers_200", HEADERS),
    (
        "switching",
        Failed("status 101: nobody asked for another protocol"),
    ),
    ("nine_interim", INTERIM),
    ("extra_bytes", EXTRA_OR_GOOD),
    ("extra_answer", EXTRA_OR_GOOD),
    ("endless_head", HEADERS),
    ("endless_line", HEAD_LONG),
    ("endless_interim", INTERIM),
    // Chunks.
    ("chunk_size_empty", chunk_size!("\\\\r")),
    ("chunk_size_extension_only", chunk_size!(";")),
    ("chunk_size_space", chunk_size!(" ")),
    ("chunk_size_space_after", chunk_size!(" ")),
    ("chunk_size_0x", chunk_size!("x")),
    ("chunk_size_sign", chunk_size!("-")),
    ("chunk_size_9_digits", chunk_size!("5")),
    ("chunk_size_bare_lf", chunk_size!("\\\\n")),
    (
        "chunk_size_bare_cr",
        Failed("expected a chunk extension or CR LF, not `h`"),
    ),
    ("chunk_size_huge", TOO_LONG),
    (
        "chunk_line_long",
        Failed("a chunk's first line is longer than 256 bytes"),
    ),
    (
        "chunk_extensions_many",
        Failed("chunk extensions of more than 16384 bytes"),
    ),
    (
        "chunk_extension_bell",
        Failed("expected a chunk extension or CR LF, not `\\\\x07`"),
    ),
    (
        "chunk_without_end",
        Failed("expected CR LF after a chunk's data, not `5`"),
    ),
    (
        "chunk_too_short",
        Failed("expected CR LF after a chunk's data, not `o`"),
    ),
    (
        "chunk_trailer_space",
        Failed("expected a trailer or the blank line, not ` `"),
    ),
    (
        "chunk_trailer_bare_lf",
        Failed("expected a trailer or the blank line, not `\\\\n`"),
    ),
    (
        "chunk_trailers_long",
        Failed("trailers of more than 4096 bytes"),
    ),
    ("chunk_after_last", EXTRA_OR_GOOD),
    ("chunks_endless", Burst(&TOO_LONG, &Slow("Body"))),
    // Whole answers that are none.
    ("redirect_301", redirect!(301)),
    ("redirect_302", redirect!(302)),
    ("redirect_307", redirect!(307)),
    ("status_201", status!(201)),
    ("status_204", status!(204)),
    ("status_304", redirect!(304)),
    ("status_400", status!(400)),
    ("status_401", status!(401)),
    ("status_403", status!(403)),
    ("status_404", status!(404)),
    ("status_429", status!(429)),
    ("status_500", status!(500)),
    ("status_502", status!(502)),
    ("status_503", status!(503)),
    ("status_504", status!(504)),
    ("html", NOT_JSON),
    ("empty", NOT_JSON),
    ("empty_chunked", NOT_JSON),
    ("json_cut", NOT_JSON),
    ("json_two", NOT_JSON),
    ("json_array", AN_OBJECT),
    ("json_null", AN_OBJECT),
    ("json_other_shape", A_STATUS),
    ("json_of_the_new_api", A_STATUS),
    ("json_word_unknown", A_STATUS),
    ("json_word_a_number", A_STATUS),
    (
        "json_word_twice",
        Unusable("\"status\" is there twice in the JSON"),
    ),
    (
        "json_results_missing",
        Unusable("expected results in the JSON"),
    ),
    ("json_results_an_object", RESULTS),
    ("json_results_of_numbers", RESULTS),
    ("json_nan", NOT_JSON),
    ("json_bom", NOT_JSON),
    ("json_utf16", NOT_UTF8),
    ("json_not_utf8", NOT_UTF8),
    ("json_deep", TOO_DEEP),
    ("json_deep_unclosed", TOO_DEEP),
    ("body_endless", Burst(&TOO_LONG, &Slow("Body"))),
    ("body_drip", Slow("Body")),
    ("head_drip", Slow("Head")),
    ("silence", Slow("Head")),
    // TLS.
    ("close_at_once", NO_ANSWER_CUT),
    (
        "reset_at_once",
        OneOf(&[
            RESET,
            Failed("no address answers"),
            Failed("Broken pipe (os error 32)"),
        ]),
    ),
    ("close_after_hello", NO_ANSWER_CUT),
    ("reset_after_hello", RESET),
    ("no_handshake", Slow("Handshake")),
    ("plaintext", NOT_TLS),
    ("plaintext_first", NOT_TLS),
    ("noise", NOT_TLS),
    (
        "alert_instead_of_hello",
        Failed("the other side ended TLS with alert 40 (HandshakeFailure)"),
    ),
    ("hello_too_long", RECORD_TOO_LONG),
    ("handshake_cut_fin", NO_ANSWER_CUT),
    ("handshake_cut_hold", Slow("Handshake")),
    ("after_handshake_fin", NO_ANSWER_CUT),
    ("after_handshake_clean", NO_ANSWER),
    (
        "client_certificate",
        Failed("the other side ended TLS with alert 116 (CertificateRequired)"),
    ),
    ("answer_before_the_question_tls12", EARLY_OR_GOOD),
    ("plain_alert_later", UNDECRYPTABLE),
    ("noise_later", UNDECRYPTABLE),
    ("noise_later_tls12", UNDECRYPTABLE),
    ("plain_hello_request_later_tls12", UNDECRYPTABLE),
    ("record_too_long_later", RECORD_TOO_LONG),
    ("record_unknown_later", BAD_RECORD),
    ("plaintext_later", BAD_RECORD),
    // Strange, but as it may be.
    ("good", Good),
    ("good_tls12", Good),
    ("good_close_fin", Good),
    ("good_close_rst", Good),
    ("good_until_close", Good),
    ("good_until_close_http10", Good),
    ("good_http10", Good),
    ("good_chunked", Good),
    ("good_chunks_of_a_byte", Good),
    ("good_cl_equal", Good),
    ("good_eight_interim", Good),
    ("good_64_headers", Good),
    ("good_no_reason", Good),
    ("good_extra_later", Good),
    ("good_answer_later", Good),
    ("good_noise_later", Good),
    (
        "refusal",
        Word(
            "OVER_QUERY_LIMIT",
            r#"{"error_message":"Slow down.","html_attributions":[],"results":[],"status":"OVER_QUERY_LIMIT"}"#,
        ),
    ),
    (
        "its_own_unknown_error",
        Word("UNKNOWN_ERROR", crate::others::UNKNOWN_ERROR),
    ),
];
