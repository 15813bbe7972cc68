//! What we ask of JetStream: about a bucket, a watch of it, its values. Pure.

use std::time::Duration;

use super::command;

/// A bucket's name has at most so many characters.
pub const BUCKET_NAME_MAX: usize = 64;
/// The longest value that a bucket of ours takes.
pub const VALUE_MAX: usize = 64 * 1024;
/// How long a server remembers the ids of messages; we send none, and it is the default.
const DUPLICATES: Duration = Duration::from_secs(120);
/// A watch whose reader is gone for so long is forgotten by the server.
const INACTIVE: Duration = Duration::from_secs(30);
/// A watch that has nothing to say says so this often.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// The header that makes a put one of compare-and-set: 0 means that there is no such key.
pub const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";

/// A bucket, and where answers about it go.
#[derive(Clone, Debug)]
pub struct Requests {
    bucket: String,
    /// The subject of answers, without its last token, which says of what.
    inbox: String,
}

impl Requests {
    /// Requests about a bucket. `inbox` is random, and another for each connection: two clients with
    /// the same would get each other's answers.
    pub fn new(bucket: &str, inbox: u64) -> Requests {
        Requests {
            bucket: bucket.to_string(),
            inbox: format!("_INBOX.{inbox:016x}"),
        }
    }

    /// Asks for the answers to all that follows.
    pub fn listen(&self, sid: u64, out: &mut Vec<u8>) {
        command::subscribe(&format!("{}.*", self.inbox), sid, out);
    }

    /// The number that a request bore, from the subject of its answer.
    pub fn number(&self, subject: &[u8]) -> Option<u64> {
        let token = subject
            .strip_prefix(self.inbox.as_bytes())?
            .strip_prefix(b".")?;
        super::frame::number(token)
    }

    /// The key of what a watch shows.
    pub fn key<'a>(&self, subject: &'a [u8]) -> Option<&'a [u8]> {
        let behind = subject
            .strip_prefix(b"$KV.")?
            .strip_prefix(self.bucket.as_bytes())?;
        behind.strip_prefix(b".")
    }

    /// Where a watch of this number delivers.
    pub fn deliver(&self, sid: u64) -> String {
        format!("{}.{sid}", self.inbox.replacen("_INBOX", "_WATCH", 1))
    }

    /// Is there such a bucket?
    pub fn look(&self, number: u64, out: &mut Vec<u8>) {
        self.api("STREAM.INFO", "", number, b"", out);
    }

    /// Makes the bucket: one value a key, new keys refused when it is full, and no value taken out but by
    /// the next of its key.
    pub fn make(&self, replicas: u8, bytes_max: u64, number: u64, out: &mut Vec<u8>) {
        let bucket = &self.bucket;
        let duplicates = DUPLICATES.as_nanos();
        let config = format!(
            "{{\"name\":\"KV_{bucket}\",\"subjects\":[\"$KV.{bucket}.>\"],\"retention\":\"limits\",\
             \"max_consumers\":-1,\"max_msgs_per_subject\":1,\"max_msgs\":-1,\"max_bytes\":{bytes_max},\
             \"max_age\":0,\"max_msg_size\":{VALUE_MAX},\"storage\":\"file\",\"discard\":\"new\",\
             \"num_replicas\":{replicas},\"duplicate_window\":{duplicates},\"deny_delete\":true,\
             \"deny_purge\":false,\"allow_rollup_hdrs\":true,\"allow_direct\":true,\
             \"mirror_direct\":false}}"
        );
        self.api("STREAM.CREATE", "", number, config.as_bytes(), out);
    }

    /// Watches the bucket: first the value of each key, then every change. The subscription comes first.
    pub fn watch(&self, sid: u64, number: u64, out: &mut Vec<u8>) {
        let (bucket, deliver) = (&self.bucket, self.deliver(sid));
        let (heartbeat, inactive) = (HEARTBEAT.as_nanos(), INACTIVE.as_nanos());
        command::subscribe(&deliver, sid, out);
        let config = format!(
            "{{\"stream_name\":\"KV_{bucket}\",\"config\":{{\"deliver_policy\":\"last_per_subject\",\
             \"ack_policy\":\"none\",\"replay_policy\":\"instant\",\"filter_subject\":\"$KV.{bucket}.>\",\
             \"deliver_subject\":\"{deliver}\",\"flow_control\":true,\"idle_heartbeat\":{heartbeat},\
             \"max_deliver\":1,\"num_replicas\":1,\"mem_storage\":true,\
             \"inactive_threshold\":{inactive}}}}}"
        );
        self.api("CONSUMER.CREATE", "", number, config.as_bytes(), out);
    }

    /// Ends a watch. Nobody waits for the answer.
    pub fn unwatch(&self, sid: u64, consumer: Option<&str>, number: u64, out: &mut Vec<u8>) {
        command::unsubscribe(sid, out);
        if let Some(consumer) = consumer {
            self.api("CONSUMER.DELETE", &format!(".{consumer}"), number, b"", out);
        }
    }

    /// Puts a value, provided that its key's revision is `expected`; `None` provides nothing.
    pub fn put(
        &self,
        key: &str,
        expected: Option<u64>,
        number: u64,
        value: &[u8],
        out: &mut Vec<u8>,
    ) {
        let (subject, reply) = (format!("$KV.{}.{key}", self.bucket), self.reply(number));
        match expected {
            Some(revision) => {
                command::publish_with(&subject, &reply, (EXPECTED, revision), value, out);
            }
            None => command::publish(&subject, &reply, value, out),
        }
    }

    /// Asks for the value of a key. Any replica may answer, and an old value is possible.
    pub fn get(&self, key: &str, number: u64, out: &mut Vec<u8>) {
        let subject = format!("$JS.API.DIRECT.GET.KV_{0}.$KV.{0}.{key}", self.bucket);
        command::publish(&subject, &self.reply(number), b"", out);
    }

    fn api(&self, what: &str, behind: &str, number: u64, payload: &[u8], out: &mut Vec<u8>) {
        let subject = format!("$JS.API.{what}.KV_{}{behind}", self.bucket);
        command::publish(&subject, &self.reply(number), payload, out);
    }

    fn reply(&self, number: u64) -> String {
        format!("{}.{number}", self.inbox)
    }
}

/// True if a bucket may have this name.
pub fn is_bucket(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=BUCKET_NAME_MAX).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_say_what_they_belong_to() {
        let requests = Requests::new("herd", 0xab);
        assert_eq!(requests.number(b"_INBOX.00000000000000ab.17"), Some(17));
        assert_eq!(requests.number(b"_INBOX.00000000000000ac.17"), None);
        assert_eq!(requests.number(b"_INBOX.00000000000000ab.x"), None);
        assert_eq!(requests.key(b"$KV.herd.kiwi"), Some(&b"kiwi"[..]));
        assert_eq!(requests.key(b"$KV.herds.kiwi"), None);
        assert_eq!(requests.deliver(2), "_WATCH.00000000000000ab.2");
    }

    #[test]
    fn names_of_buckets() {
        assert!(is_bucket("herd") && is_bucket(&"a".repeat(BUCKET_NAME_MAX)));
        for name in [
            "",
            "a.b",
            "a b",
            "*",
            "\u{e9}",
            &"a".repeat(BUCKET_NAME_MAX + 1),
        ] {
            assert!(!is_bucket(name), "{name}");
        }
    }
}
