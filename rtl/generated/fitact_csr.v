// Control and status registers on AXI4-Lite. Made from fitact_hw/csr.rdl; see docs/reference/registers.md.
//
// Write address and write data may come in any order and are kept until both are there; responses wait
// for as long as the master likes. An address without a register is answered with SLVERR. Writes to
// read-only bits are ignored.
//
// Composed by fitact_hw.verilog for the default configuration (16x16, 8-bit words, bounds: neuron); change the
// generator, not this file.

`default_nettype none

module fitact_csr #(
    parameter ADDR_W = 12
) (
    input  wire              clk,
    input  wire              rst_n,
    input  wire              clear,                     // a program starts: sticky status bits go back to 0

    // AXI4-Lite slave.
    input  wire [ADDR_W-1:0] s_axil_awaddr,
    input  wire              s_axil_awvalid,
    output wire              s_axil_awready,
    input  wire [31:0]       s_axil_wdata,
    input  wire [3:0]        s_axil_wstrb,
    input  wire              s_axil_wvalid,
    output wire              s_axil_wready,
    output wire [1:0]        s_axil_bresp,
    output wire              s_axil_bvalid,
    input  wire              s_axil_bready,
    input  wire [ADDR_W-1:0] s_axil_araddr,
    input  wire              s_axil_arvalid,
    output wire              s_axil_arready,
    output wire [31:0]       s_axil_rdata,
    output wire [1:0]        s_axil_rresp,
    output wire              s_axil_rvalid,
    input  wire              s_axil_rready,

    // To hardware.
    // Write 1: clear all state and run the program at PROGRAM.
    output wire              control_start,
    output wire              control_irq_enable,        // 1: raise the interrupt on done or error.
    output wire              status_done,               // FINISH was reached. Write 1 to clear.
    output wire              status_error,              // The machine halted on an error. Write 1 to clear.
    // Byte address of the first instruction, 64-byte aligned.
    output wire [31:0]       program_address,
    output wire [31:0]       window_base_address,       // First byte that the machine may access.
    output wire [31:0]       window_last_address,       // Last byte that the machine may access.
    // Cycles after start at which the machine gives up; 0 switches it off.
    output wire [31:0]       watchdog_cycles,

    // From hardware.
    input  wire              status_busy,               // A program is running or transfers are outstanding.
    input  wire              status_done_set,           // pulse: sets the bit
    input  wire              status_error_set,          // pulse: sets the bit
    input  wire [3:0]        status_code,               // First error since start.
    input  wire [31:0]       cycles_low_value,          // Cycles from start to done or error.
    input  wire [31:0]       cycles_high_value,         // High half of the cycle counter.
    input  wire [31:0]       instructions_value,        // Instructions dispatched since start.
    input  wire [7:0]        configuration_rows,        // Rows of the array.
    input  wire [7:0]        configuration_cols,        // Columns of the array.
    input  wire [7:0]        configuration_word_bits,   // Word width in bits.
    input  wire [2:0]        configuration_bounds,      // Who shares a bound.
    input  wire              configuration_bound_codes  // 1: the bound buffer holds 4-bit codes.
);

    localparam INDEX_W = ADDR_W - 2;  // registers are words

    // Register numbers.
    localparam [INDEX_W-1:0] ID            = 0;   // Identification
    localparam [INDEX_W-1:0] CONTROL       = 1;   // Control
    localparam [INDEX_W-1:0] STATUS        = 2;   // Status
    localparam [INDEX_W-1:0] PROGRAM       = 3;   // Program address
    localparam [INDEX_W-1:0] WINDOW_BASE   = 4;   // Window base
    localparam [INDEX_W-1:0] WINDOW_LAST   = 5;   // Window last
    localparam [INDEX_W-1:0] WATCHDOG      = 6;   // Watchdog
    localparam [INDEX_W-1:0] CYCLES_LOW    = 7;   // Cycles, low
    localparam [INDEX_W-1:0] CYCLES_HIGH   = 8;   // Cycles, high
    localparam [INDEX_W-1:0] INSTRUCTIONS  = 9;   // Instructions
    localparam [INDEX_W-1:0] CONFIGURATION = 10;  // Configuration

    // Responses.
    localparam [1:0] OKAY   = 2'b00;
    localparam [1:0] SLVERR = 2'b10;

    // Constant of ID.
    localparam [31:0] ID_VALUE = 32'h46414354;

    // Write channels: address and data are kept until both are there and the last response has gone.
    reg                aw_held_q;
    reg  [INDEX_W-1:0] aw_index_q;
    reg                w_held_q;
    reg  [31:0]        w_data_q;
    reg  [3:0]         w_strb_q;
    reg                bvalid_q;
    reg  [1:0]         bresp_q;
    // one cycle: the held write takes effect
    wire               write      = aw_held_q && w_held_q && (!bvalid_q || s_axil_bready);
    // bits whose byte is written
    wire [31:0]        write_mask = {{8{w_strb_q[3]}}, {8{w_strb_q[2]}}, {8{w_strb_q[1]}}, {8{w_strb_q[0]}}};

    assign s_axil_awready = !aw_held_q;
    assign s_axil_wready  = !w_held_q;
    assign s_axil_bvalid  = bvalid_q;
    assign s_axil_bresp   = bresp_q;

    always @(posedge clk) begin
        if (!rst_n) begin
            aw_held_q <= 1'b0;
            w_held_q  <= 1'b0;
            bvalid_q  <= 1'b0;
        end else begin
            if (s_axil_awvalid && s_axil_awready) aw_held_q <= 1'b1;
            else if (write)                       aw_held_q <= 1'b0;

            if (s_axil_wvalid && s_axil_wready)   w_held_q <= 1'b1;
            else if (write)                       w_held_q <= 1'b0;

            if (write)                            bvalid_q <= 1'b1;
            else if (s_axil_bready)               bvalid_q <= 1'b0;
        end
    end

    always @(posedge clk) begin
        if (s_axil_awready) aw_index_q <= s_axil_awaddr[ADDR_W-1:2];
        if (s_axil_wready) begin
            w_data_q <= s_axil_wdata;
            w_strb_q <= s_axil_wstrb;
        end
        if (write) bresp_q <= (aw_index_q <= CONFIGURATION) ? OKAY : SLVERR;
    end

    // Fields.
    reg        control_start_q;
    reg        control_irq_enable_q;
    reg        status_done_q;
    reg        status_error_q;
    reg [31:0] program_address_q;
    reg [31:0] window_base_address_q;
    reg [31:0] window_last_address_q;
    reg [31:0] watchdog_cycles_q;

    assign control_start       = control_start_q;
    assign control_irq_enable  = control_irq_enable_q;
    assign status_done         = status_done_q;
    assign status_error        = status_error_q;
    assign program_address     = program_address_q;
    assign window_base_address = window_base_address_q;
    assign window_last_address = window_last_address_q;
    assign watchdog_cycles     = watchdog_cycles_q;

    always @(posedge clk) begin
        if (!rst_n) control_start_q <= 1'b0;
        else        control_start_q <= write && aw_index_q == CONTROL && (w_data_q[0] & write_mask[0]);
    end

    always @(posedge clk) begin
        if (!rst_n) control_irq_enable_q <= 1'b0;
        else if (write && aw_index_q == CONTROL)
            control_irq_enable_q <= (control_irq_enable_q & ~write_mask[1]) | (w_data_q[1] & write_mask[1]);
    end

    always @(posedge clk) begin
        if (!rst_n) status_done_q <= 1'b0;
        else if (status_done_set) status_done_q <= 1'b1;
        else if (clear) status_done_q <= 1'b0;
        else if (write && aw_index_q == STATUS && (w_data_q[1] & write_mask[1])) status_done_q <= 1'b0;
    end

    always @(posedge clk) begin
        if (!rst_n) status_error_q <= 1'b0;
        else if (status_error_set) status_error_q <= 1'b1;
        else if (clear) status_error_q <= 1'b0;
        else if (write && aw_index_q == STATUS && (w_data_q[2] & write_mask[2])) status_error_q <= 1'b0;
    end

    always @(posedge clk) begin
        if (!rst_n) program_address_q <= 32'h0;
        else if (write && aw_index_q == PROGRAM)
            program_address_q <= (program_address_q & ~write_mask) | (w_data_q & write_mask);
    end

    always @(posedge clk) begin
        if (!rst_n) window_base_address_q <= 32'h0;
        else if (write && aw_index_q == WINDOW_BASE)
            window_base_address_q <= (window_base_address_q & ~write_mask) | (w_data_q & write_mask);
    end

    always @(posedge clk) begin
        if (!rst_n) window_last_address_q <= 32'hffffffff;
        else if (write && aw_index_q == WINDOW_LAST)
            window_last_address_q <= (window_last_address_q & ~write_mask) | (w_data_q & write_mask);
    end

    always @(posedge clk) begin
        if (!rst_n) watchdog_cycles_q <= 32'h0;
        else if (write && aw_index_q == WATCHDOG)
            watchdog_cycles_q <= (watchdog_cycles_q & ~write_mask) | (w_data_q & write_mask);
    end

    // Read channels: the answer is registered and kept until it is taken.
    reg                rvalid_q;
    reg  [1:0]         rresp_q;
    reg  [31:0]        rdata_q;
    reg  [31:0]        read_data;                               // combinational
    wire [INDEX_W-1:0] read_index = s_axil_araddr[ADDR_W-1:2];

    assign s_axil_arready = !rvalid_q || s_axil_rready;
    assign s_axil_rvalid  = rvalid_q;
    assign s_axil_rdata   = rdata_q;
    assign s_axil_rresp   = rresp_q;

    always @(*) begin
        case (read_index)
            ID:            read_data = ID_VALUE;
            CONTROL:       read_data = {30'd0, control_irq_enable_q, 1'b0};
            STATUS:        read_data = {20'd0, status_code, 5'd0, status_error_q, status_done_q, status_busy};
            PROGRAM:       read_data = program_address_q;
            WINDOW_BASE:   read_data = window_base_address_q;
            WINDOW_LAST:   read_data = window_last_address_q;
            WATCHDOG:      read_data = watchdog_cycles_q;
            CYCLES_LOW:    read_data = cycles_low_value;
            CYCLES_HIGH:   read_data = cycles_high_value;
            INSTRUCTIONS:  read_data = instructions_value;
            CONFIGURATION: read_data = {4'd0,
                configuration_bound_codes,
                configuration_bounds,
                configuration_word_bits,
                configuration_cols,
                configuration_rows};
            default:       read_data = 32'd0;
        endcase
    end

    always @(posedge clk) begin
        if (!rst_n)                                rvalid_q <= 1'b0;
        else if (s_axil_arvalid && s_axil_arready) rvalid_q <= 1'b1;
        else if (s_axil_rready)                    rvalid_q <= 1'b0;
    end

    always @(posedge clk) begin
        if (s_axil_arvalid && s_axil_arready) begin
            rdata_q <= read_data;
            rresp_q <= (read_index <= CONFIGURATION) ? OKAY : SLVERR;
        end
    end

    // Byte lanes are chosen by wstrb.
    wire unused = &{1'b0, s_axil_awaddr[1:0], s_axil_araddr[1:0]};

endmodule

`default_nettype wire
