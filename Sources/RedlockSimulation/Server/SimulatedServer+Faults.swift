// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock

/// What goes wrong with servers.
extension SimulatedServer {
    // MARK: Loss

    /// All keys at one moment.
    package struct Snapshot {
        fileprivate let keys: SimulatedKeys
    }

    /// What a server still knows after a restart.
    package enum Memory {
        case everything
        case nothing
        /// What it knew some time ago.
        case snapshot(Snapshot)
        /// All but what was written in the last microseconds, by its own clock.
        ///
        /// At most as many as `journalMicroseconds`.
        case allButTheLast(microseconds: Int64)
    }

    /// How far back writes can be lost by a restart; by default none can, as keeping track of them costs time.
    package var journalMicroseconds: Int64 {
        get { keys.journalMicroseconds }
        set { keys.journalMicroseconds = newValue }
    }

    /// The keys as they are now, for a later restart.
    package func snapshot() -> Snapshot {
        Snapshot(keys: keys)
    }

    /// Ends the server process and starts another, which refuses nothing.
    ///
    /// Keys end by the clock, whether or not a process runs, so that it makes no difference when the world lets the new
    /// one answer.
    package func restart(keeping memory: Memory) {
        keys.now = clock()
        switch memory {
        case .everything: break
        case .nothing: keys.replace(with: SimulatedKeys())
        case .snapshot(let snapshot): keys.replace(with: snapshot.keys)
        case .allButTheLast(let microseconds): keys.takeBack(lastMicroseconds: microseconds)
        }
        keys.clearJournal()
        scripts = []
        runID = newID()
        formerReplicationID = Self.noReplicationID
        evictedKeys = 0
        flushes = 0
        acceptAgain()
    }

    /// FLUSHALL.
    package func flushAll() {
        keys.now = clock()
        keys.removeAll()
        flushes += 1
    }

    /// SCRIPT FLUSH.
    package func flushScripts() {
        scripts = []
    }

    /// Makes room by giving up a key; whether it was there.
    @discardableResult
    package func evict(_ key: String) -> Bool {
        keys.now = clock()
        guard keys.remove(key) else { return false }
        evictedKeys += 1
        return true
    }

    /// Puts something at a key that is no string.
    package func putCollection(at key: String) {
        keys.now = clock()
        keys.set(key, to: SimulatedKeys.Entry(value: .collection, endMilliseconds: SimulatedKeys.Entry.never))
    }

    /// Deletes the keys that have ended, as servers do now and then by themselves.
    ///
    /// It shows only when the clock goes back: what was deleted does not come back then.
    package func deleteEndedKeys() {
        _ = keyNames
    }

    /// The keys that have not ended, sorted.
    package var keyNames: [String] {
        keys.now = clock()
        return keys.names(beginningWith: "")
    }

    // MARK: Roles

    /// From now on, it copies another server and takes no writes.
    ///
    /// - Parameter snapshot: what it has copied; nil if it kept what it had.
    package func becomeReplica(copying snapshot: Snapshot? = nil) {
        keys.now = clock()
        if let snapshot { keys.replace(with: snapshot.keys) }
        isReplica = true
    }

    /// From now on, it is a master with the history of the one that it copied.
    package func promote() {
        isReplica = false
        formerReplicationID = newID()
    }

    // MARK: Refusals

    /// Why a server does not do what it is asked.
    package enum Refusal: CaseIterable, Sendable {
        /// Nothing that needs memory.
        case outOfMemory
        /// No writes, because what was written before did not reach the disk.
        case misconfigured
        /// No writes, because not enough replicas would get them.
        case tooFewReplicas
        /// No writes, because it is a replica.
        case readOnly
        /// Nothing that has to do with keys, because they are being read from disk.
        case loading
        /// Nothing, because a script does not end.
        case busy
        /// Nothing that has to do with keys, because it is a replica without its master.
        case masterDown
        /// Nothing, because the user has no rights.
        case noPermission
    }

    /// Refuses, until `acceptAgain()` or for a number of commands.
    package func refuse(_ refusal: Refusal, forCommands count: Int? = nil) {
        self.refusal = refusal
        refusalsLeft = count
    }

    /// Ends every refusal.
    package func acceptAgain() {
        refusal = nil
        refusalsLeft = nil
    }

    /// Lets the next script that writes fail at the last thing that it writes; what it wrote before stays.
    package func failNextScriptAtItsLastWrite() {
        failsNextWritingScript = true
        keepsLastWrite = false
    }

    /// Lets the next script that writes fail behind all that it writes.
    package func failNextScriptAtItsEnd() {
        failsNextWritingScript = true
        keepsLastWrite = true
    }

    /// Runs what a script does, and has it fail if it has written.
    func failing(_ run: () throws(CommandError) -> RESPValue) throws(CommandError) -> RESPValue {
        let journalMicroseconds = keys.journalMicroseconds
        keys.journalMicroseconds = max(1, journalMicroseconds)
        defer { keys.journalMicroseconds = journalMicroseconds }
        let before = keys.rememberedCount
        let reply = try run()
        // What a script calls may be able to write, and find nothing to change.
        guard scriptHasWritten, keys.rememberedCount > before else { return reply }
        failsNextWritingScript = false
        if !keepsLastWrite { keys.takeBackLast() }
        throw CommandError(text: "ERR the last command of the script failed")
    }

    func disturbanceChanged() {
        isUndisturbed = refusal == nil && !isReplica && deniedCommands.isEmpty && !failsNextWritingScript
        information = nil
    }

    func countRefusal() {
        guard let left = refusalsLeft else { return }
        refusalsLeft = left - 1
        if left <= 1 { acceptAgain() }
    }

    /// Throws unless the server carries the command out now, for a client or for the script that runs.
    @inline(__always)
    func admit(_ command: Command) throws(CommandError) {
        if !isUndisturbed { try admitDisturbed(command) }
    }

    /// Throws unless the server runs scripts that it has now.
    func admitScript() throws(CommandError) {
        if refusal == .masterDown { throw .masterDown }
    }

    private func admitDisturbed(_ command: Command) throws(CommandError) {
        if deniedCommands.contains(command) || refusal == .noPermission {
            throw isInScript ? .deniedInScript : .denied(command)
        }
        let isWrite = command.isWrite
        // A script that has begun to write is not stopped half way.
        if !scriptHasWritten || !isInScript {
            if refusal == .outOfMemory, command.isGrowing { throw .outOfMemory }
            if refusal == .misconfigured, isWrite || command == .ping { throw .misconfigured }
            if refusal == .tooFewReplicas, isWrite { throw .tooFewReplicas }
            if isReplica || refusal == .readOnly || refusal == .masterDown, isWrite { throw .readOnly }
        }
        if refusal == .masterDown, !command.needsNoKeys, !command.isOfScripts { throw .masterDown }
        if refusal == .loading, !command.needsNoKeys { throw .loading }
        if refusal == .busy { throw .busy }
        if isInScript, isWrite { scriptHasWritten = true }
    }
}

extension CommandError {
    fileprivate static func denied(_ command: Command) -> CommandError {
        let name = command.rawValue.lowercased()
        return CommandError(text: "NOPERM this user has no permissions to run the '\(name)' command")
    }
    fileprivate static let deniedInScript = CommandError(
        text: "ERR The user executing the script can't run this command or subcommand"
    )
    fileprivate static let outOfMemory = CommandError(
        text: "OOM command not allowed when used memory > 'maxmemory'."
    )
    fileprivate static let misconfigured = CommandError(
        text: "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
            + "Commands that may modify the data set are disabled, because this instance is configured to report errors "
            + "during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis "
            + "logs for details about the RDB error."
    )
    fileprivate static let tooFewReplicas = CommandError(text: "NOREPLICAS Not enough good replicas to write.")
    fileprivate static let readOnly = CommandError(text: "READONLY You can't write against a read only replica.")
    fileprivate static let masterDown = CommandError(
        text: "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
    )
    fileprivate static let loading = CommandError(text: "LOADING Redis is loading the dataset in memory")
    fileprivate static let busy = CommandError(
        text: "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
    )
}
