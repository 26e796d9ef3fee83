//! CPU time and memory of a process, read from `/proc`.

use std::{fs, io};

use rustix::param::{clock_ticks_per_second, page_size};

/// User and system time that the process has used, in microseconds, in steps of one clock tick (10 ms).
pub fn cpu_us(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in brackets and may hold spaces; utime and stime are the 14th and 15th.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(ticks * 1_000_000 / clock_ticks_per_second())
}

/// Resident memory in kilobytes.
pub fn rss_kb(pid: u32) -> io::Result<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or(0);
    Ok(pages * page_size() as u64 / 1024)
}
