//! What a run was, saw and cost: for people, or in JSON.

use crate::exchange::Exchange;
use crate::iamat::Keys;
use crate::options::{Job, Kind};
use crate::swarm::{Life, Measured, Swarm};
use hdrhistogram::Histogram;
use lab::usage::{Memory, Usage};
use serde_json::{Value, json};

/// The quantiles that are reported; the last is the maximum.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

/// All that there is to say.
pub struct Report<'a> {
    pub job: &'a Job,
    /// The name that the server gives itself.
    pub server: String,
    pub measured: Measured,
    /// Of the server, if it is known.
    pub cost: Option<Cost>,
    pub generator: Usage,
    /// Memory of an idle connection, in bytes, if there are any.
    pub idle_bytes: Option<f64>,
}

/// What the server used for a run, and held around it.
pub struct Cost {
    pub usage: Usage,
    pub before: Memory,
    pub after: Memory,
}

pub fn name_of<E: Exchange>(swarm: &mut Swarm<E>) -> String {
    String::from_utf8_lossy(swarm.exchange().server()).into_owned()
}

impl Report<'_> {
    fn per_second(&self) -> f64 {
        self.measured.requests as f64 / self.measured.elapsed.as_secs_f64()
    }

    fn cpu_us(&self, usage: &Usage) -> f64 {
        usage.cpu_ns as f64 / 1000.0 / self.measured.requests as f64
    }

    /// The share of a core; more than 1 if it used more than one.
    fn cores(&self, usage: &Usage) -> f64 {
        usage.cpu_ns as f64 / 1e9 / self.measured.elapsed.as_secs_f64()
    }

    /// If each request left a record.
    fn record_bytes(&self, cost: &Cost) -> Option<f64> {
        let grown = cost.after.anonymous as f64 - cost.before.anonymous as f64;
        (self.job.keys == Keys::New).then_some(grown / self.measured.requests as f64)
    }

    pub fn json(&self) -> Value {
        let (job, measured) = (self.job, &self.measured);
        let question = match job.kind {
            Kind::Whatsat(question) => Some(question),
            _ => None,
        };
        let keys = match job.keys {
            Keys::Turns(keys) => Some(keys),
            Keys::New => None,
        };
        let burn = measured.burner.as_ref().zip(job.burn);
        json!({
            "server_name": self.server,
            "mode": mode_name(job),
            "echo": matches!(job.kind, Kind::Echo),
            "connections": job.plan.connections,
            "depth": job.plan.depth,
            "keys": keys,
            "grow": job.keys == Keys::New,
            "radius_km": question.map(|question| question.radius),
            "bound": question.map(|question| question.bound),
            "warmup": job.warmup,
            "loop": if job.rate.is_some() { "open" } else { "closed" },
            "rate": job.rate,
            "requests": measured.requests,
            "seconds": measured.elapsed.as_secs_f64(),
            "per_second": self.per_second(),
            "latency_us": quantiles(&measured.latency),
            "late_us": measured.late.as_ref().map(quantiles),
            "burn": burn.map(|(burner, (burn, every))| json!({
                "ms": burn.ms,
                "place": burn.place.to_string(),
                "every_s": every.as_secs_f64(),
                "count": burner.latency.len(),
                "latency_us": quantiles(&burner.latency),
            })),
            "idle": job.idle.map(|idle| json!({
                "connections": idle.count,
                "asked": idle.asks,
                "bytes_each": self.idle_bytes,
            })),
            "server": self.cost.as_ref().map(|cost| self.cost_json(cost)),
            "generator": self.usage_json(&self.generator),
        })
    }

    fn usage_json(&self, usage: &Usage) -> Value {
        json!({
            "cpu_us_per_request": self.cpu_us(usage),
            "cores": self.cores(usage),
            "voluntary_switches": usage.voluntary,
            "involuntary_switches": usage.involuntary,
        })
    }

    fn cost_json(&self, cost: &Cost) -> Value {
        let mut value = self.usage_json(&cost.usage);
        value["rss_anon_before"] = json!(cost.before.anonymous);
        value["rss_anon_after"] = json!(cost.after.anonymous);
        value["vm_rss_before"] = json!(cost.before.resident);
        value["vm_rss_after"] = json!(cost.after.resident);
        value["bytes_per_record"] = json!(self.record_bytes(cost));
        value
    }

    pub fn print(&self) {
        let (job, measured) = (self.job, &self.measured);
        println!(
            "{} right answers of {} in {:.3} s, {} connections, depth {}, {}",
            measured.requests,
            self.server,
            measured.elapsed.as_secs_f64(),
            job.plan.connections,
            job.plan.depth,
            mode_name(job),
        );
        let asked = job.rate.map(|rate| format!(" of {rate:.0} asked for"));
        let asked = asked.unwrap_or_default();
        println!("throughput  {:.0} requests/s{asked}", self.per_second());
        println!("latency     {}", line(&measured.latency));
        if let Some(late) = &measured.late {
            println!("asked late  {}", line(late));
        }
        if let (Some(burner), Some((burn, _))) = (&measured.burner, job.burn) {
            println!(
                "burnt       {} times {} ms {}, {}",
                burner.latency.len(),
                burn.ms,
                burn.place,
                line(&burner.latency)
            );
        }
        if let (Some(idle), Some(bytes)) = (job.idle, self.idle_bytes) {
            println!(
                "idle        {} connections, {bytes:.0} bytes each",
                idle.count
            );
        }
        if let Some(cost) = &self.cost {
            println!("server      {}", self.usage_line(&cost.usage));
            println!(
                "memory      {:.1} MB before, {:.1} MB after{}",
                cost.before.anonymous as f64 / 1e6,
                cost.after.anonymous as f64 / 1e6,
                self.record_bytes(cost)
                    .map(|bytes| format!(", {bytes:.0} bytes a record"))
                    .unwrap_or_default()
            );
        }
        println!("generator   {}", self.usage_line(&self.generator));
    }

    fn usage_line(&self, usage: &Usage) -> String {
        format!(
            "{:.3} us of CPU a request, {:.0} % of a core, {} voluntary and {} involuntary context switches",
            self.cpu_us(usage),
            100.0 * self.cores(usage),
            usage.voluntary,
            usage.involuntary,
        )
    }
}

fn quantiles(times: &Histogram<u64>) -> Value {
    let mut value = json!({ "mean": times.mean() / 1000.0 });
    for (name, quantile) in QUANTILES {
        value[name] = json!(microseconds(times, quantile));
    }
    value
}

fn line(times: &Histogram<u64>) -> String {
    let words = QUANTILES.map(|(name, q)| format!("{name} {:.1}", microseconds(times, q)));
    format!("{} us", words.join(", "))
}

fn microseconds(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1000.0
}

fn mode_name(job: &Job) -> &'static str {
    match (job.kind, job.plan.life) {
        (Kind::Whatsat(_), _) => "whatsat",
        (_, Life::Persistent) => "persistent",
        (_, Life::ConnectAskClose) => "connect-ask-close",
    }
}
