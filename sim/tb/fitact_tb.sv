// Test top: the machine, an AXI4 memory (memory.cpp) and the log of traced events.
// C++ drives the clock (main.cpp under cocotb, or engine.cpp). Python drives rst_n and s_axil_* and sleeps otherwise;
// it talks to the memory through ctypes.
`default_nettype none
`timescale 1ns / 1ns

module fitact_tb #(
    parameter int BUS_BITS   = 128,
    parameter int CSR_ADDR_W = 12
) (
    input bit clk
);
    import "DPI-C" function void fitact_memory_cycle(
        input int bus_bytes,
        input bit ar_valid, input int unsigned ar_addr, input int unsigned ar_id, input int unsigned ar_len,
        input int unsigned ar_size, input int unsigned ar_burst,
        input bit r_ready,
        input bit aw_valid, input int unsigned aw_addr, input int unsigned aw_id, input int unsigned aw_len,
        input int unsigned aw_size, input int unsigned aw_burst,
        input bit w_valid, input bit [BUS_BITS-1:0] w_data, input bit [BUS_BITS/8-1:0] w_strb, input bit w_last,
        input bit b_ready,
        output bit ar_ready, output bit r_valid, output int unsigned r_id, output bit [BUS_BITS-1:0] r_data,
        output int unsigned r_resp, output bit r_last,
        output bit aw_ready, output bit w_ready, output bit b_valid, output int unsigned b_id,
        output int unsigned b_resp, output bit active
    );
    import "DPI-C" function void fitact_trace(input int unsigned events, input longint unsigned now);

    // Driven by Python.
    bit        rst_n          /*verilator public_flat_rw*/;
    bit [CSR_ADDR_W-1:0] s_axil_awaddr /*verilator public_flat_rw*/;
    bit        s_axil_awvalid /*verilator public_flat_rw*/;
    bit [31:0] s_axil_wdata   /*verilator public_flat_rw*/;
    bit        s_axil_wvalid  /*verilator public_flat_rw*/;
    bit [CSR_ADDR_W-1:0] s_axil_araddr /*verilator public_flat_rw*/;
    bit        s_axil_arvalid /*verilator public_flat_rw*/;

    // Read by Python.
    wire        s_axil_awready /*verilator public_flat_rd*/;
    wire        s_axil_wready  /*verilator public_flat_rd*/;
    wire        s_axil_bvalid  /*verilator public_flat_rd*/;
    wire        s_axil_arready /*verilator public_flat_rd*/;
    wire [31:0] s_axil_rdata   /*verilator public_flat_rd*/;
    wire        s_axil_rvalid  /*verilator public_flat_rd*/;
    wire        irq            /*verilator public_flat_rd*/;

    wire                  ar_valid, aw_valid, w_valid, w_last, r_ready, b_ready;
    wire [31:0]           ar_addr, aw_addr;
    wire [0:0]            ar_id, aw_id;
    wire [7:0]            ar_len, aw_len;
    wire [2:0]            ar_size, aw_size;
    wire [1:0]            ar_burst, aw_burst;
    wire [BUS_BITS-1:0]   w_data;
    wire [BUS_BITS/8-1:0] w_strb;

    bit                ar_ready_q, r_valid_q, r_last_q, aw_ready_q, w_ready_q, b_valid_q, active_q;
    bit [BUS_BITS-1:0] r_data_q;
    int unsigned       r_id_q, r_resp_q, b_id_q, b_resp_q;

    wire [5:0] trace_events;

    fitact_top u_top (
        .clk            (clk),
        .rst_n          (rst_n),
        .irq            (irq),
        .s_axil_awaddr  (s_axil_awaddr),
        .s_axil_awvalid (s_axil_awvalid),
        .s_axil_awready (s_axil_awready),
        .s_axil_wdata   (s_axil_wdata),
        .s_axil_wstrb   (4'hF),
        .s_axil_wvalid  (s_axil_wvalid),
        .s_axil_wready  (s_axil_wready),
        .s_axil_bresp   (),
        .s_axil_bvalid  (s_axil_bvalid),
        .s_axil_bready  (1'b1),
        .s_axil_araddr  (s_axil_araddr),
        .s_axil_arvalid (s_axil_arvalid),
        .s_axil_arready (s_axil_arready),
        .s_axil_rdata   (s_axil_rdata),
        .s_axil_rresp   (),
        .s_axil_rvalid  (s_axil_rvalid),
        .s_axil_rready  (1'b1),
        .m_axi_arid     (ar_id),
        .m_axi_araddr   (ar_addr),
        .m_axi_arlen    (ar_len),
        .m_axi_arsize   (ar_size),
        .m_axi_arburst  (ar_burst),
        .m_axi_arlock   (),
        .m_axi_arcache  (),
        .m_axi_arprot   (),
        .m_axi_arvalid  (ar_valid),
        .m_axi_arready  (ar_ready_q),
        .m_axi_rid      (r_id_q[0]),
        .m_axi_rdata    (r_data_q),
        .m_axi_rresp    (r_resp_q[1:0]),
        .m_axi_rlast    (r_last_q),
        .m_axi_rvalid   (r_valid_q),
        .m_axi_rready   (r_ready),
        .m_axi_awid     (aw_id),
        .m_axi_awaddr   (aw_addr),
        .m_axi_awlen    (aw_len),
        .m_axi_awsize   (aw_size),
        .m_axi_awburst  (aw_burst),
        .m_axi_awlock   (),
        .m_axi_awcache  (),
        .m_axi_awprot   (),
        .m_axi_awvalid  (aw_valid),
        .m_axi_awready  (aw_ready_q),
        .m_axi_wdata    (w_data),
        .m_axi_wstrb    (w_strb),
        .m_axi_wlast    (w_last),
        .m_axi_wvalid   (w_valid),
        .m_axi_wready   (w_ready_q),
        .m_axi_bid      (b_id_q[0]),
        .m_axi_bresp    (b_resp_q[1:0]),
        .m_axi_bvalid   (b_valid_q),
        .m_axi_bready   (b_ready),
        .trace_load_start   (trace_events[0]),
        .trace_load_done    (trace_events[1]),
        .trace_gemm_start   (trace_events[2]),
        .trace_gemm_done    (trace_events[3]),
        .trace_store_start  (trace_events[4]),
        .trace_store_done   (trace_events[5])
    );

    always @(posedge clk) begin
        if (!rst_n) begin
            {ar_ready_q, r_valid_q, aw_ready_q, w_ready_q, b_valid_q, active_q} <= '0;
        end else if (ar_valid || aw_valid || w_valid || active_q) begin
            // Outputs of the call go to locals first: an import writes its arguments at once, and the machine must
            // see them after the edge.
            automatic bit ar_ready, r_valid, r_last, aw_ready, w_ready, b_valid, active;
            automatic bit [BUS_BITS-1:0] r_data;
            automatic int unsigned r_id, r_resp, b_id, b_resp;
            fitact_memory_cycle(
                BUS_BITS / 8,
                ar_valid, ar_addr, 32'(ar_id), 32'(ar_len), 32'(ar_size), 32'(ar_burst), r_ready,
                aw_valid, aw_addr, 32'(aw_id), 32'(aw_len), 32'(aw_size), 32'(aw_burst),
                w_valid, w_data, w_strb, w_last, b_ready,
                ar_ready, r_valid, r_id, r_data, r_resp, r_last, aw_ready, w_ready, b_valid, b_id, b_resp, active
            );
            ar_ready_q <= ar_ready;
            r_valid_q  <= r_valid;
            r_id_q     <= r_id;
            r_data_q   <= r_data;
            r_resp_q   <= r_resp;
            r_last_q   <= r_last;
            aw_ready_q <= aw_ready;
            w_ready_q  <= w_ready;
            b_valid_q  <= b_valid;
            b_id_q     <= b_id;
            b_resp_q   <= b_resp;
            active_q   <= active;
        end
        if (rst_n && trace_events != 0) fitact_trace(32'(trace_events), $time);
    end
endmodule

`default_nettype wire
