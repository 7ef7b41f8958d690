// swift-tools-version: 6.2
import PackageDescription

/// Our own targets are built strictly everywhere; CI also turns warnings into errors.
let strictSettings: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        // Mistakes that the tests plant; an optimised build has them only when the simulator is built.
        .define("REDLOCK_PLANTED_BUGS", .when(configuration: .debug)),
    ] + (Context.environment["REDLOCK_WARNINGS_AS_ERRORS"] == "1" ? [.treatAllWarnings(as: .error)] : [])

let package = Package(
    name: "redlock",
    platforms: [.macOS(.v15)],
    products: [
        // Endpoints and TLS settings, which a client is made with, are RedisTransport's.
        .library(name: "Redlock", targets: ["Redlock", "RedisTransport"]),
        .library(name: "FencedStorage", targets: ["FencedStorage", "RedisTransport", "Hiredis"]),
        .library(name: "LeaderElection", targets: ["LeaderElection"]),
        .library(name: "RedlockTesting", targets: ["RedlockTesting"]),
        .library(name: "LocalRedis", targets: ["LocalRedis"]),
        .executable(name: "redlock", targets: ["RedlockCLI"]),
    ],
    // What is needed for some kinds of data only is fetched by those who ask for it; our own builds enable all.
    traits: [
        .trait(name: "SQLite", description: "Guards the data in SQLite databases, through GRDB"),
        .trait(name: "Hummingbird", description: "Refuses stale requests in services made with Hummingbird"),
        .trait(name: "PostgreSQL", description: "Guards the data in PostgreSQL databases, through libpq"),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        // Without its reader of JSON, for which the command would carry all of Foundation.
        .package(url: "https://github.com/apple/swift-configuration", from: "1.0.0", traits: []),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.2.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.86.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.29.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", .upToNextMinor(from: "0.2.0")),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.3.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.20.0", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        // The hiredis C module, and the Swift that speaks the Redis protocol with it.
        .systemLibrary(
            name: "CHiredis",
            pkgConfig: "hiredis",
            providers: [.apt(["libhiredis-dev"]), .brew(["hiredis"])]
        ),
        .target(name: "Hiredis", dependencies: ["CHiredis"], swiftSettings: strictSettings),
        .target(
            name: "RedisTransport",
            dependencies: [
                "Hiredis",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strictSettings
        ),

        // The protocol as pure values, and the client that drives it.
        .target(name: "LockCore", swiftSettings: strictSettings),
        .target(
            name: "Redlock",
            dependencies: [
                "LockCore",
                "RedisTransport",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: strictSettings
        ),

        // Guards that compare a fencing token where the data is.
        .systemLibrary(
            name: "CLibpq",
            pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"]), .brew(["libpq"])]
        ),
        .target(
            name: "FencedStorage",
            dependencies: [
                "Hiredis",
                "RedisTransport",
                "Redlock",
                .target(name: "CLibpq", condition: .when(traits: ["PostgreSQL"])),
                .product(name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["SQLite"])),
                .product(name: "HTTPTypes", package: "swift-http-types", condition: .when(traits: ["Hummingbird"])),
                .product(name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["Hummingbird"])),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strictSettings
        ),

        // One leader at a time.
        .target(
            name: "LeaderElection",
            dependencies: [
                "Redlock",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strictSettings
        ),

        // Processes: what posix_spawn cannot do, and private redis-server processes on top of it.
        .target(name: "CSpawn"),
        .target(name: "LocalRedis", dependencies: ["CSpawn"], swiftSettings: strictSettings),

        .target(
            name: "RedlockTesting",
            dependencies: [
                "FencedStorage",
                "Redlock",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strictSettings
        ),

        // Simulated worlds, whose servers run the scripts in the Lua that Redis has; for the simulator and the tests alone.
        .systemLibrary(
            name: "CLua",
            pkgConfig: "lua5.1",
            providers: [.apt(["liblua5.1-0-dev"]), .brew(["lua@5.1"])]
        ),
        .target(
            name: "RedlockSimulation",
            dependencies: [
                "CLua",
                "Hiredis",
                "LockCore",
                "RedisTransport",
                "Redlock",
                "RedlockTesting",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: strictSettings
        ),

        .executableTarget(
            name: "RedlockCLI",
            dependencies: [
                "CSpawn",
                "LeaderElection",
                "LocalRedis",
                "RedisTransport",
                "Redlock",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strictSettings
        ),

        // Tries the protocol where everything that can happen to it happens, and judges it in true time.
        .executableTarget(
            name: "RedlockSimulator",
            dependencies: [
                "Hiredis",
                "LeaderElection",
                "LockCore",
                "Redlock",
                "RedlockSimulation",
                "RedlockTesting",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strictSettings
        ),

        // Measures the client against the limit of the servers, each measurement in a process of its own.
        .executableTarget(
            name: "RedlockBenchmarks",
            dependencies: [
                "Hiredis",
                "LocalRedis",
                "LockCore",
                "Redlock",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: strictSettings
        ),

        // Measures how fast servers can grant locks to a client that does next to nothing; ours is compared with it.
        .executableTarget(name: "ServerLimit", dependencies: ["CHiredis"]),

        // What more than one test target needs and no user does.
        .target(
            name: "TestSupport",
            dependencies: ["Hiredis"],
            path: "Tests/TestSupport",
            swiftSettings: strictSettings
        ),

        .testTarget(
            name: "HiredisTests",
            dependencies: ["CHiredis", "Hiredis", "RedlockTesting"],
            swiftSettings: strictSettings
        ),
        .testTarget(
            name: "LockCoreTests",
            dependencies: ["LockCore", "RedlockTesting"],
            swiftSettings: strictSettings
        ),
        .testTarget(name: "LocalRedisTests", dependencies: ["CSpawn", "LocalRedis"], swiftSettings: strictSettings),
        .testTarget(
            name: "RedisTransportTests",
            dependencies: [
                "Hiredis",
                "LocalRedis",
                "RedisTransport",
                "RedlockTesting",
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strictSettings
        ),
        .testTarget(
            name: "RedlockTests",
            dependencies: [
                "LockCore",
                "RedisTransport",
                "Redlock",
                "RedlockTesting",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strictSettings
        ),
        .testTarget(
            name: "RedlockTestingTests",
            dependencies: ["RedlockTesting", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: strictSettings
        ),
        // Writes through a guard until the tests kill it.
        .executableTarget(
            name: "ElectionCandidate",
            dependencies: [
                "FencedStorage",
                "LeaderElection",
                "Redlock",
                .product(name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["SQLite"])),
            ],
            path: "Tests/ElectionCandidate",
            swiftSettings: strictSettings
        ),
        .executableTarget(
            name: "FencedWriter",
            dependencies: [
                "FencedStorage",
                "Redlock",
                .product(name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["SQLite"])),
            ],
            path: "Tests/FencedWriter",
            swiftSettings: strictSettings
        ),
        .testTarget(
            name: "FencedStorageTests",
            dependencies: [
                "FencedStorage",
                "FencedWriter",
                "Hiredis",
                "LocalRedis",
                "Redlock",
                "RedlockTesting",
                "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["SQLite"])),
                .product(name: "HTTPTypes", package: "swift-http-types", condition: .when(traits: ["Hummingbird"])),
                .product(name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["Hummingbird"])),
                .product(name: "HummingbirdTesting", package: "hummingbird", condition: .when(traits: ["Hummingbird"])),
            ],
            swiftSettings: strictSettings
        ),
        .testTarget(
            name: "LeaderElectionTests",
            dependencies: [
                "ElectionCandidate", "FencedStorage", "LeaderElection", "LocalRedis", "Redlock", "RedlockTesting",
                "TestSupport",
                .product(name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["SQLite"])),
                .product(name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["Hummingbird"])),
                .product(name: "HummingbirdTesting", package: "hummingbird", condition: .when(traits: ["Hummingbird"])),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strictSettings
        ),
        .testTarget(
            name: "RedlockCLITests",
            dependencies: ["LocalRedis", "RedisTransport", "Redlock", "RedlockCLI", "RedlockTesting", "TestSupport"],
            swiftSettings: strictSettings
        ),
        .testTarget(
            name: "RedlockBenchmarksTests",
            dependencies: ["Hiredis", "LocalRedis", "LockCore", "Redlock", "RedlockBenchmarks", "TestSupport"],
            swiftSettings: strictSettings
        ),
        .testTarget(
            name: "SimulationTests",
            dependencies: [
                "Hiredis", "LockCore", "LocalRedis", "Redlock", "RedlockSimulation", "RedlockSimulator",
                "RedlockTesting", "TestSupport",
            ],
            swiftSettings: strictSettings
        ),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "LocalRedis",
                "Redlock",
                "RedlockCLI",
                "RedlockTesting",
                "TestSupport",
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: strictSettings
        ),
    ]
)
