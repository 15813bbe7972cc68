//! The floor's exchange: the bytes of an IAMAT go, exactly those come back.

use crate::exchange::{Exchange, Verdict};
use crate::iamat::{Keys, LINE_LEN, Lines};

/// Requests that an echo gives back.
pub struct Echo {
    lines: Lines,
}

impl Echo {
    pub fn new(keys: Keys) -> Echo {
        Echo {
            lines: Lines::new(keys),
        }
    }
}

impl Exchange for Echo {
    fn request_len(&self) -> usize {
        LINE_LEN
    }

    fn write(&mut self, count: usize, batch: &mut Vec<u8>) {
        self.lines.write(count, batch);
    }

    fn check(&mut self, received: &[u8], request: &[u8]) -> Verdict {
        if received.starts_with(request) {
            Verdict::Right(request.len())
        } else if request.starts_with(received) {
            Verdict::Partial
        } else {
            Verdict::Wrong
        }
    }

    fn left(&self) -> u64 {
        self.lines.left()
    }

    fn server(&self) -> &[u8] {
        b"echo"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_request_is_right() {
        let mut echo = Echo::new(Keys::Turns(2));
        let mut batch = Vec::new();
        echo.write(2, &mut batch);
        let (first, second) = batch.split_at(LINE_LEN);
        assert_eq!(echo.check(&batch, first), Verdict::Right(LINE_LEN));
        assert_eq!(echo.check(&first[..9], first), Verdict::Partial);
        assert_eq!(echo.check(second, first), Verdict::Wrong);
        assert_eq!(echo.check(b"AT Clark +0.000000001", first), Verdict::Wrong);
    }
}
