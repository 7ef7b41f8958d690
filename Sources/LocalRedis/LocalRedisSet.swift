// SPDX-License-Identifier: Apache-2.0
import Foundation

/// N private Redis servers, independent of one another, in one directory.
public final class LocalRedisSet: Sendable {
    /// What a later process needs to know of the set; the servers' own files hold the rest.
    private struct Description: Codable {
        var version = 1
        var serverCount: Int
        var persistence: LocalRedisPersistence
        var executable: String
        var tls: LocalRedisTLS?
        var extraConfiguration: [String]
        /// Absent in sets of earlier versions.
        var additionalEnvironment: [Int: [String: String]]?
    }

    private static let descriptionName = "redlock-local.json"
    private static let largestCount = 99

    /// The root directory; each server has one of its own in it.
    public let directory: String
    /// The servers, in order; `servers[0].number` is 1.
    public let servers: [LocalRedisServer]
    /// What the servers remember when they are killed.
    public let persistence: LocalRedisPersistence
    /// The server program: a name looked up in PATH, or a path.
    public let executable: String

    private init(directory: String, servers: [LocalRedisServer], options: LocalRedisOptions) {
        self.directory = directory
        self.servers = servers
        self.persistence = options.persistence
        self.executable = options.executable
    }

    /// The server at the place, counted from 0 as `servers` is.
    public subscript(index: Int) -> LocalRedisServer { servers[index] }
    /// The URL of every server, in order.
    public var urls: [String] { servers.map(\.url) }

    // MARK: Beginning

    /// Starts N servers, all at once, and returns when all answer.
    ///
    /// - Throws: `LocalRedisError`, or `CancellationError`; then no process and no directory of ours is left.
    public static func start(
        nodes count: Int,
        options: LocalRedisOptions = LocalRedisOptions()
    ) async throws -> LocalRedisSet {
        guard (1...largestCount).contains(count) else {
            throw LocalRedisError(.invalidArgument, "\(count) nodes were asked for; it must be 1 to \(largestCount)")
        }
        if let stranger = options.additionalEnvironment.keys.first(where: { !(1...count).contains($0) }) {
            throw LocalRedisError(.invalidArgument, "environment variables were given for node \(stranger) of \(count)")
        }
        let root = try claimDirectory(options.directory)
        var ports: [Int] = []
        do {
            ports = try reservePorts(count, options.ports)
            let servers = zip(1..., ports).map { number, port in
                LocalRedisServer(
                    number: number,
                    port: port,
                    files: ServerFiles(directory: "\(root)/node-\(number)"),
                    options: options
                )
            }
            let description = Description(
                serverCount: count,
                persistence: options.persistence,
                executable: options.executable,
                tls: options.tls,
                extraConfiguration: options.extraConfiguration,
                additionalEnvironment: options.additionalEnvironment
            )
            // Before the first process: should we die now, the set can be loaded, and what runs of it be ended.
            for server in servers { try server.writeFirstRecord() }
            try writePrivately(JSONEncoder().encode(description), to: "\(root)/\(descriptionName)")
            let set = LocalRedisSet(directory: root, servers: servers, options: options)
            try await set.launchAll(ports)
            return set
        } catch {
            ports.forEach(PortChooser.giveBack)
            try? removeFiles(directory: root, count: count)
            throw error
        }
    }

    /// Starts every dead server of the set again, with its data.
    ///
    /// - Throws: as `LocalRedisServer.start()`; servers that did come up stay up.
    public func startAll() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in servers { group.addTask { try await server.start() } }
            try await group.waitForAll()
        }
    }

    // MARK: Finding again

    /// Whether the directory holds a set.
    public static func exists(in directory: String) -> Bool {
        FileManager.default.fileExists(atPath: "\(directory)/\(descriptionName)")
    }

    /// The set in the directory, whoever started it.
    ///
    /// - Throws: `LocalRedisError` if there is none, or its files are damaged.
    public static func load(directory: String) throws -> LocalRedisSet {
        guard let data = FileManager.default.contents(atPath: "\(directory)/\(descriptionName)") else {
            throw LocalRedisError(.directory, "there is no set of local servers in \(directory)")
        }
        guard let description = try? JSONDecoder().decode(Description.self, from: data), description.version == 1,
            (1...largestCount).contains(description.serverCount)
        else {
            throw LocalRedisError(.directory, "\(directory)/\(descriptionName) is damaged, or of another version")
        }
        var options = LocalRedisOptions(persistence: description.persistence)
        options.lifetime = .detached
        options.executable = description.executable
        options.tls = description.tls
        options.extraConfiguration = description.extraConfiguration
        options.additionalEnvironment = description.additionalEnvironment ?? [:]
        let servers = try (1...description.serverCount).map { number in
            try LocalRedisServer(
                number: number,
                files: ServerFiles(directory: "\(directory)/node-\(number)"),
                options: options
            )
        }
        return LocalRedisSet(directory: directory, servers: servers, options: options)
    }

    // MARK: Ending

    /// Stops every server (TERM, then KILL); files and data stay.
    public func stop() async {
        await forEachServer { await $0.stop() }
    }

    /// Kills every server and removes the set's files and data.
    ///
    /// - Throws: `LocalRedisError` if a file cannot be removed. The root directory stays if it holds other files.
    public func remove() async throws {
        await forEachServer { await $0.kill() }
        servers.forEach { PortChooser.giveBack($0.port) }
        try Self.removeFiles(directory: directory, count: servers.count)
    }

    private func forEachServer(_ body: @escaping @Sendable (LocalRedisServer) async -> Void) async {
        await withTaskGroup { group in
            for server in servers { group.addTask { await body(server) } }
        }
    }
}

extension LocalRedisSet {
    /// Starts the servers on their ports, replacing a free port that somebody else took in the meantime.
    private func launchAll(_ ports: [Int]) async throws {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (server, port) in zip(servers, ports) {
                    group.addTask { try await Self.launch(server, port: port) }
                }
                try await group.waitForAll()
            }
        } catch {
            await forEachServer { await $0.kill() }
            throw error
        }
    }

    private static func launch(_ server: LocalRedisServer, port: Int) async throws {
        var port = port
        for _ in 0..<10 {
            do {
                return try await server.launch(port: port)
            } catch let error as LocalRedisError where error.code == .portTaken {
                if case .exactly = server.options.ports { throw error }
                port = try PortChooser.reserveAny()
            }
        }
        throw LocalRedisError(.portTaken, "server \(server.number) lost the race for a free port ten times")
    }

    private static func reservePorts(_ count: Int, _ wish: LocalRedisPorts) throws -> [Int] {
        var ports: [Int] = []
        do {
            for index in 0..<count {
                switch wish {
                case .free:
                    ports.append(try PortChooser.reserveAny())
                case .preferred(let start):
                    let port = start + index
                    ports.append(try PortChooser.reserve(port) ? port : PortChooser.reserveAny())
                case .exactly(let wanted):
                    guard wanted.count == count else {
                        throw LocalRedisError(.invalidArgument, "\(wanted.count) ports were given for \(count) nodes")
                    }
                    guard PortChooser.reserve(wanted[index]) else {
                        throw LocalRedisError(.portTaken, "port \(wanted[index]) on 127.0.0.1 is taken or out of range")
                    }
                    ports.append(wanted[index])
                }
            }
            return ports
        } catch {
            ports.forEach(PortChooser.giveBack)
            throw error
        }
    }

    /// A directory for a new set: the given one, if it is empty or absent, or a new one.
    private static func claimDirectory(_ wish: String?) throws -> String {
        guard let wish else {
            let parent = FileManager.default.temporaryDirectory.path
            var template = Array((parent + "/redlock-XXXXXX").utf8CString)
            guard mkdtemp(&template) != nil else {
                throw LocalRedisError(.directory, "no directory can be made in \(parent): \(errorText(errno))")
            }
            return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
        let path = URL(fileURLWithPath: wish).standardizedFileURL.path
        if exists(in: path) {
            throw LocalRedisError(.directory, "\(path) already holds a set of local servers")
        }
        try createPrivateDirectory(path)
        guard try FileManager.default.contentsOfDirectory(atPath: path).isEmpty else {
            throw LocalRedisError(.directory, "\(path) holds other files; choose an empty or a new directory")
        }
        return path
    }

    /// Removes what is ours by name, and the root only when nothing else is in it: the path came from a user.
    private static func removeFiles(directory: String, count: Int) throws {
        do {
            let names = (1...count).map { "node-\($0)" } + [descriptionName]
            for name in names where FileManager.default.fileExists(atPath: "\(directory)/\(name)") {
                try FileManager.default.removeItem(atPath: "\(directory)/\(name)")
            }
        } catch {
            throw LocalRedisError(.directory, "\(directory) cannot be removed: \(fileErrorText(error))")
        }
        rmdir(directory)
    }
}
