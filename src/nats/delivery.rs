//! Where a message of a watch says which it is: its reply subject. Pure.

use super::frame::number;

/// What the reply subject of a watched message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The consumer that delivers.
    pub consumer: &'a [u8],
    /// The message's place in the stream: the revision of its key.
    pub sequence: u64,
    /// Which of the consumer's messages it is, from 1 on.
    pub delivered: u64,
    /// How many come behind it.
    pub pending: u64,
}

impl<'a> Delivery<'a> {
    /// Reads `$JS.ACK.stream.consumer.attempts.sequence.delivered.time.pending`; a newer form has a domain
    /// and an account behind ACK, and may have a token at the end.
    pub fn parse(reply: &'a [u8]) -> Option<Delivery<'a>> {
        let mut tokens = [&b""[..]; 12];
        let mut count = 0;
        for token in reply.split(|&byte| byte == b'.') {
            *tokens.get_mut(count)? = token;
            count += 1;
        }
        let stream = match count {
            9 => 2,
            11 | 12 => 4,
            _ => return None,
        };
        if tokens[..2] != [&b"$JS"[..], b"ACK"] {
            return None;
        }
        Some(Delivery {
            consumer: tokens[stream + 1],
            sequence: number(tokens[stream + 3])?,
            delivered: number(tokens[stream + 4])?,
            pending: number(tokens[stream + 6])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let wanted = Delivery {
            consumer: b"wLAwF3o8",
            sequence: 7,
            delivered: 3,
            pending: 5,
        };
        for reply in [
            "$JS.ACK.KV_herd.wLAwF3o8.1.7.3.1796021663818466149.5",
            "$JS.ACK.ucla.ACCOUNT.KV_herd.wLAwF3o8.1.7.3.1796021663818466149.5",
            "$JS.ACK.ucla.ACCOUNT.KV_herd.wLAwF3o8.1.7.3.1796021663818466149.5.x9",
        ] {
            assert_eq!(Delivery::parse(reply.as_bytes()), Some(wanted), "{reply}");
        }
        for reply in [
            "",
            "$JS.ACK.s.c.1.7.3.1",
            "$JS.FC.s.c.1.7.3.1.5",
            "$JS.ACK.s.c.1.x.3.1.5",
        ] {
            assert_eq!(Delivery::parse(reply.as_bytes()), None, "{reply}");
        }
    }
}
