//! On what and when: no figure means anything without.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

pub struct Machine {
    cpu: String,
    cores: usize,
    memory: String,
    kernel: String,
    date: String,
    /// Those that we may use, as taskset takes them.
    pub core_list: String,
    /// Of the last minute, before we began.
    pub load_before: f64,
}

impl Machine {
    pub fn describe() -> Machine {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_string())
        };
        let unknown = || "unknown".to_string();
        let cpus = text("/proc/cpuinfo");
        let load = text("/proc/loadavg");
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        Machine {
            cpu: field(&cpus, "model name").unwrap_or_else(unknown),
            core_list: field(&text("/proc/self/status"), "Cpus_allowed_list")
                .unwrap_or_else(|| "0".to_string()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: field(&text("/proc/meminfo"), "MemTotal")
                .and_then(|kilobytes| kilobytes.strip_suffix(" kB")?.parse::<f64>().ok())
                .map_or_else(unknown, |kilobytes| {
                    format!("{:.1} GB", kilobytes * 1024.0 / 1e9)
                }),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_string(),
            date: date(seconds),
            load_before: load
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(0.0),
        }
    }

    pub fn rows(&self) -> Vec<(String, String)> {
        let row = |name: &str, value: String| (name.to_string(), value);
        vec![
            row("Processor", self.cpu.clone()),
            row("Cores we may use", self.cores.to_string()),
            row("Memory", self.memory.clone()),
            row("Linux", self.kernel.clone()),
            row("Begun", self.date.clone()),
            row("Load average before", format!("{:.2}", self.load_before)),
            row("herd", env!("CARGO_PKG_VERSION").to_string()),
            row("rustc", rustc()),
        ]
    }

    #[cfg(test)]
    pub fn of_tests() -> Machine {
        Machine {
            cpu: "A <fast> one".into(),
            cores: 2,
            core_list: "0-1".into(),
            memory: "1 kB".into(),
            kernel: "6".into(),
            date: date(0),
            load_before: 0.25,
        }
    }
}

/// The compiler on the PATH; most often the one that built this.
fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    said.unwrap_or_else(|_| "unknown".to_string())
}

/// The day and minute, in UTC.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut left) = (1970, days);
    let length = |year: u64| {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        365 + u64::from(leap)
    };
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let february = 28 + length(year) - 365;
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    let (hour, minute) = (rest / 3600, rest % 3600 / 60);
    format!(
        "{year}-{month:02}-{:02} {hour:02}:{minute:02} UTC",
        left + 1
    )
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_795_885_151), "2026-11-28 16:59 UTC");
        assert_eq!(date(1_735_689_599), "2024-12-31 23:59 UTC");
    }
}
