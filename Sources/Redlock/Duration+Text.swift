// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// Short for people: `850ms`, `2.3s`, `5m 10s`, `3h 2m`.
    package var briefText: String {
        let milliseconds = nanoseconds / 1_000_000
        if milliseconds < 1_000 { return "\(milliseconds)ms" }
        let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1_000)
        if seconds < 60 { return rest < 100 ? "\(seconds)s" : "\(seconds).\(rest / 100)s" }
        let (minutes, restOfMinute) = seconds.quotientAndRemainder(dividingBy: 60)
        if minutes < 60 { return restOfMinute == 0 ? "\(minutes)m" : "\(minutes)m \(restOfMinute)s" }
        let (hours, restOfHour) = minutes.quotientAndRemainder(dividingBy: 60)
        return restOfHour == 0 ? "\(hours)h" : "\(hours)h \(restOfHour)m"
    }

    /// The duration since 1970 as a date and a time of day in UTC: `2026-01-01 14:03:05Z`.
    package var timeText: String {
        // Not by nanoseconds, of which 64 bits hold no more than 292 years.
        let second = components.seconds - (components.attoseconds < 0 ? 1 : 0)
        let (days, secondOfDay) = second.flooredQuotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = Self.date(ofDay: days)
        let (hour, minute) = (secondOfDay / 3_600, secondOfDay / 60 % 60)
        func digits(_ number: Int64, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let date = "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))"
        return "\(date) \(digits(hour, 2)):\(digits(minute, 2)):\(digits(secondOfDay % 60, 2))Z"
    }

    /// The date of a day that is counted from 1970-01-01, in the Gregorian calendar.
    ///
    /// Years that begin with March have the day of a leap year at their end, and 400 of them always have as many days; see
    /// https://howardhinnant.github.io/date_algorithms.html.
    private static func date(ofDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (day + 719_468).flooredQuotientAndRemainder(dividingBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }
}

extension Int64 {
    /// Of a negative number, the quotient below, so that the remainder is not negative.
    fileprivate func flooredQuotientAndRemainder(dividingBy divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
